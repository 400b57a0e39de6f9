// Package manifest reads work orders from files, and checks them as a cluster would, without one: the schema and its rules as
// the API server does, and the rest by the code of the webhook.
package manifest
