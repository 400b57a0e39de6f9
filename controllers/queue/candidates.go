package queue

import (
	"cmp"
	"container/heap"
)

// candidates are the namespaces that may be given the next place, as a heap: the one whose turn it is stands first.
type candidates []*namespace

// see puts a namespace that was changed where it belongs.
func (c *candidates) see(n *namespace, candidate bool) {
	switch {
	case candidate && n.index < 0:
		heap.Push(c, n)
	case candidate:
		heap.Fix(c, n.index)
	case n.index >= 0:
		heap.Remove(c, n.index)
	}
}

// Len is part of heap.Interface, as are the methods below.
func (c candidates) Len() int { return len(c) }

// Less says whose turn it is: that of the namespace that holds fewer places, else the one whose next order is older.
func (c candidates) Less(i, j int) bool {
	a, b := c[i], c[j]
	return cmp.Or(cmp.Compare(a.holds, b.holds), older(a.waiting[0], b.waiting[0])) < 0
}

// Swap is part of heap.Interface.
func (c candidates) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].index, c[j].index = i, j
}

// Push is part of heap.Interface.
func (c *candidates) Push(n any) {
	added := n.(*namespace)
	added.index = len(*c)
	*c = append(*c, added)
}

// Pop is part of heap.Interface.
func (c *candidates) Pop() any {
	last := (*c)[len(*c)-1]
	(*c)[len(*c)-1] = nil
	*c = (*c)[:len(*c)-1]
	last.index = -1
	return last
}
