// Package model checks the controllers against a model of the API server, in one process and without waiting. All that
// it holds is tests; nothing is compiled into the operator.
//
// What runs is the real code of WorkOrderReconciler and HeldPodReconciler. Its client belongs to the model: a turn is
// cut at every request that it makes of the API server, and goes on when the model says so, so that one controller may
// freeze between any two requests while the other one and the world go on. A turn is never suspended in a goroutine.
// As a controller's code depends on nothing but its memory, its clock and the replies it gets, a turn that is under way
// is the list of the replies so far, and going on is running it once more with one reply added. What such a list leads
// to is remembered, so the code runs once for each list and not once for each state of the world. No real clock is read.
//
// The tests explore every state of small orders (explorations), take random walks through far larger worlds (walk), and
// show that each guard is needed by taking it away in the model (guards). After every action the laws are checked, which
// are told what happened by the model and not by the controllers. What happens is data: a setup says what an order is,
// what people do to it and what may go wrong.
//
// go test runs the smaller explorations and 300 walks, in a minute and a half on two cores; RELIABILITY=full the larger
// ones and 2,000 walks, which takes some minutes; -rapid.checks=10000 takes as many walks, and -timeout=60m.
package model
