// Package steppod turns a step into a Pod, and what that Pod says back into facts. It is pure: it talks to nobody and
// knows no clock.
package steppod
