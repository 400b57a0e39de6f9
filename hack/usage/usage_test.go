package usage

import (
	"os"
	"runtime"
	"testing"
)

func TestThisProcessUsesSomething(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: only Linux has /proc")
	}
	before, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if before.RSS < 1<<20 || before.Peak < before.RSS {
		t.Errorf("it uses %+v", before)
	}
	held := make([]byte, 64<<20)
	sum := 0
	for used := before; used.CPU <= before.CPU; { // Until the kernel has seen it at work.
		for i := range held {
			held[i]++
			sum += int(held[i])
		}
		if used, err = Of(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	after, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after.RSS < before.RSS+32<<20 {
		t.Errorf("64 MiB more, and yet %+v after %+v (%d)", after, before, sum)
	}
}

func TestAProcessThatIsNotThere(t *testing.T) {
	if _, err := Of(1 << 30); err == nil {
		t.Error("want an error")
	}
}
