package queue_test

import (
	"testing"

	"workorders.dev/operator/controllers/queue"
)

func TestPlacesAreRoundedUpBeyondTen(t *testing.T) {
	for place, rounded := range map[int]int32{
		1: 1, 2: 2, 9: 9, 10: 10, 11: 20, 20: 20, 21: 50, 50: 50, 51: 100, 100: 100, 101: 200, 200: 200, 201: 500,
		501: 1000, 1001: 2000, 2001: 5000, 5001: 10000, 10000: 10000, 10001: 20000, 1234567: 2000000,
	} {
		if got := queue.Rounded(place); got != rounded {
			t.Errorf("place %d is told as %d, not %d", place, got, rounded)
		}
	}
}
