// Package traces tells OpenTelemetry of orders, by its conventions for CI/CD: a span for each run of an order, and in it one
// for each attempt of a step, made when that has ended and its result is saved.
//
// Their ids are hashes of what they are of: the order's uid, the step and its epoch. So the spans of an order are one trace
// whoever tells of them, this process, the one before it, or the one that leads after it, and a span of a step names as its
// parent one that is made hours later. A process that dies after a result was saved may tell nobody of it: traces are for
// people who look for where the time goes, and the record is the ProgressEvents.
package traces
