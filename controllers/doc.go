// Package controllers is everything of the operator that talks to the API server, one verb a file: observe, record,
// save, act, announce. What to do is decided in package plan, what a step's Pod looks like in package steppod.
package controllers
