package queue_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/controllers/queue"
)

// crowd is ten thousand orders that wait for one of a hundred places, in as many namespaces.
func crowd(namespaces int) []queue.Order {
	orders := make([]queue.Order, 10_000)
	for n := range orders {
		orders[n] = queue.Order{
			UID:     types.UID(fmt.Sprintf("%05d", n*7919%10_000)),
			Name:    types.NamespacedName{Namespace: fmt.Sprintf("team-%d", n%namespaces), Name: fmt.Sprintf("order-%d", n)},
			Created: dawn.Add(time.Duration(n/10) * time.Second),
			State:   queue.Waiting,
		}
	}
	return orders
}

func assembled(orders []queue.Order) *queue.Line {
	line := queue.New(queue.Limits{All: 100})
	for _, order := range orders {
		line.Tell(order)
	}
	line.Open()
	for _, order := range orders {
		line.Place(order.UID)
	}
	return line
}

// BenchmarkOneEnds: one of 10,000 orders ends, another is admitted, and a new one asks where it stands. With moved, all
// others are looked for too that stand elsewhere now; told is how many there are.
func BenchmarkOneEnds(b *testing.B) {
	for _, moved := range []bool{false, true} {
		for _, namespaces := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("namespaces=%d/moved=%v", namespaces, moved), func(b *testing.B) {
				orders := crowd(namespaces)
				byName := map[types.NamespacedName]queue.Order{}
				for _, order := range orders {
					byName[order.Name] = order
				}
				line := assembled(orders)
				var holding []queue.Order
				for _, order := range orders {
					if place, _ := line.Place(order.UID); place == 0 {
						holding = append(holding, order)
					}
				}
				told, n := 0, 0
				for b.Loop() {
					ended := holding[0]
					for _, name := range line.Forget(ended.UID) {
						holding = append(holding[1:], byName[name])
					}
					// Another one comes, so that the line is never empty.
					n++
					ended.Created = dawn.Add(time.Hour + time.Duration(n)*time.Second)
					byName[ended.Name] = ended
					line.Tell(ended)
					line.Place(ended.UID)
					if moved {
						told += len(line.Moved())
					}
				}
				b.ReportMetric(float64(told)/float64(n), "told/op")
			})
		}
	}
}

// BenchmarkACrowdComes: 10,000 orders are submitted at once, and each of them asks for its place as soon as it is there.
func BenchmarkACrowdComes(b *testing.B) {
	for _, namespaces := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("namespaces=%d", namespaces), func(b *testing.B) {
			orders := crowd(namespaces)
			for b.Loop() {
				line := queue.New(queue.Limits{All: 100})
				line.Open()
				for _, order := range orders {
					line.Tell(order)
					line.Place(order.UID)
				}
			}
		})
	}
}

// BenchmarkRestart: the line is told of 10,000 orders, opened, and asked by each of them.
func BenchmarkRestart(b *testing.B) {
	for _, namespaces := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("namespaces=%d", namespaces), func(b *testing.B) {
			orders := crowd(namespaces)
			for b.Loop() {
				assembled(orders)
			}
		})
	}
}
