// Package queue decides which work orders may run when only so many may run at the same time, and where in the line the
// others stand. It is pure: it has no client, no context, no logger and no clock. It is told what is seen of orders, in
// whatever order that comes, and the same orders always stand the same.
//
// # The rules
//
//   - An order waits until it has started its first step, and holds a place from then on until it has finished or is
//     gone. One that is suspended, cancelled or Stalled before it has started does neither.
//   - The next place goes to the namespace that holds the fewest; of those with as many, to the one whose next order is
//     the oldest. A namespace that holds as many as one may is passed over. Within a namespace the oldest goes first.
//   - An order that was admitted holds its place from that moment, before anything shows that it runs. So however many
//     workers ask, no more are admitted than there are places.
//   - Nobody is sent away: an order that runs holds a place even if that makes more than there should be, as after a
//     rewind of one that had finished, or after the limit was lowered. Nobody is admitted then until there is room.
//
// # Places in the line
//
// The place of an order is the one at which it would be admitted if places came free one after the other, nobody who
// runs ended and nobody else came. Up to 10 it is exact; beyond, it is rounded up to 20, 50, 100, 200 and so on, so that
// not every order of thousands is told something new each time that one starts. Without a limit on all namespaces
// together, each namespace has a line of its own.
//
// # After a restart
//
// Nothing is kept but what the orders themselves show. So a Line is closed at first: it listens, and admits nobody until
// it is told, by Open, that it has heard of all orders that there are.
package queue
