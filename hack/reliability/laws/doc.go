// Package laws says whether what happened to an order was lawful. It looks at what is left when all is over: the order,
// every status of it that a watch has shown, its ProgressEvents, and the node's ledger of what really ran. It never
// asks the operator, and shares none of its code but the reading of the log.
package laws
