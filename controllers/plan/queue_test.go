package plan

import (
	"strings"
	"testing"

	"workorders.dev/operator/api/v1alpha1"
)

// inLine is an order that was told that it waits, third in the line.
func inLine(t *testing.T, change ...func(*v1alpha1.WorkOrder)) *story {
	return (&story{T: t, order: newOrder(change...)}).turn(World{Queued: 3})
}

// asks edits an order that stands there in the line then.
func (s *story) asks(change func(*v1alpha1.WorkOrderSpec), place int32) *story {
	s.order = edited(s.order, change)
	return s.turn(World{Queued: place})
}

func (s *story) says(want string) *story {
	s.Helper()
	if got := s.order.Status.Message; got != want {
		s.Errorf("it says %q, not %q", got, want)
	}
	return s
}

func TestAnOrderInTheLineDoesWhatItIsAskedTo(t *testing.T) {
	s := inLine(t).asks(bump, 3)
	s.expect("Accepted SpecObserved | Pending a:Pending b:Pending c:Pending")
	s.says("read the edited spec; waits for a place to run: at most 2 orders go before it")

	s = inLine(t).asks(suspend, 3)
	s.expect("Accepted Suspended | Suspended a:Pending b:Pending c:Pending")
	s.says("suspended: nothing new starts").asks(resume, 2)
	s.expect("Resumed | Pending a:Pending b:Pending c:Pending")
	s.says("resumed; waits for a place to run: at most 1 order goes before it").turn(World{})
	s.expect("Resumed Admitted | Running a:Running/1 b:Pending c:Pending")

	inLine(t).asks(cancel, 3).expect("Accepted Cancelling Cancelled | Cancelled a:Cancelled b:Cancelled c:Cancelled")
}

// TestAnOrderWhoseSpecCannotRunIsNotInTheLine: it stood there until it was read.
func TestAnOrderWhoseSpecCannotRunIsNotInTheLine(t *testing.T) {
	spoilt := inLine(t).asks(spoil, 3)
	fresh := inLine(t, func(o *v1alpha1.WorkOrder) { spoil(&o.Spec) })
	for read, s := range map[string]*story{"SpecObserved": spoilt, "Accepted": fresh} {
		if queued := s.order.Status.Queued; queued != 0 {
			t.Errorf("its place is %d", queued)
		}
		s.turn(World{}).expect("SpecRejected | " + brief(&s.order.Status)) // That it has left the line is no news.
		s.asks(mend, 2).expect(read + " | Pending a:Pending b:Pending c:Pending")
		if got := s.order.Status.Message; !strings.HasSuffix(got, "; waits for a place to run: at most 1 order goes before it") {
			t.Errorf("it says %q", got)
		}
	}
}
