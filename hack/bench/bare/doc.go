// Package bare does what the operator does without being one: its clients write what they are told to, and think nothing.
// What they take is the floor, the least that a cluster asks for that work on that machine at that moment.
//
// Chains runs Pods one after the other, as somebody would who has only Pods. A Script is what the operator wrote to carry
// one order from its creation to its end, taken from its own requests; Replay writes the same for other orders, byte for
// byte but for their names, as fast as the API server takes it.
package bare
