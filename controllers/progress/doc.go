// Package progress reads the log of a work order. It is pure, and everything that reads the log does it through here.
//
// An event happened if and only if it is on the chain that leads from the order's status.head back through
// spec.previous. Whatever else lies around (an event whose status was never saved, a forged one) never happened.
package progress
