// Package crd holds the CustomResourceDefinitions, for programs that check orders without a cluster.
package crd

import _ "embed"

// WorkOrders is the definition of WorkOrder, as YAML.
//
//go:embed bases/workorders.dev_workorders.yaml
var WorkOrders []byte
