// Package timeline is what a person sees of an order: one row for each step, and above it, struck out, the attempts that a
// rewind has superseded. It is made of values and makes text; it reads no cluster and no clock.
package timeline
