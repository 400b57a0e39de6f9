// Package expression is the when of a step: a condition, written in CEL, on the order's params and on what became of
// the steps before. It is pure: the same expression on the same facts always gives the same answer.
//
// # What can be said
//
// An expression sees two things and gives true or false:
//
//	params["NAME"]            the value of a param of the order, a string
//	steps["NAME"].phase       Succeeded, Skipped, and in finally also Failed, Blocked or Cancelled
//	steps["NAME"].output      what the step wrote as its termination message, a string
//	steps["NAME"].results     the same as a map, if it is a JSON object; empty otherwise
//	steps["NAME"].epoch       how many times the step was started, a number
//
// Names are constants, so that what an expression asks for is known before the order runs: a name that does not exist,
// or is no step that comes before, is an error of the spec and not of the run. For the same reason steps and params
// cannot be passed on, searched or counted as a whole. steps.name is the same as steps["name"] where a name has no
// hyphen.
//
// Besides CEL's operators there are the macros has, all, exists, exists_one, filter and map, and these functions:
//
//	size, type, dyn, bool, int, uint, double, string, bytes
//	contains, startsWith, endsWith, matches
//	charAt, lowerAscii, upperAscii, reverse, split, substring, trim
//
// There is nothing about time: an answer would depend on when it is asked, or on the time zones of the machine. Maps
// are gone through in the order of their keys, as Go's own order is another one each time.
//
// # What it may cost
//
// Anybody who may create an order can write an expression, and the operator evaluates it. So its length and depth are
// limited, and so is its work: each part of it that is evaluated costs 1, a call as much as what goes into it and comes
// out of it, and at 30,000 it is over. That is enough to look at every line of an output, and takes a tenth of a second
// at worst.
//
// CEL counts the cost of a call after the call, and that of a value by what it took to make. So what would get around
// the limit does not compile: functions of which one call can make much out of little or take long over little
// (replace, join, format, indexOf and their like), patterns that are not constant or are large, and, inside of macros,
// lists and maps that hold others. The last would share their parts: thirty macros in a row, each of which puts what
// it gets into a list twice, cost next to nothing, and to compare what they make with anything takes a thousand years.
package expression
