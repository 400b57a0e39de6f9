package node

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"workorders.dev/operator/hack/cluster/internal/host"
	"workorders.dev/operator/hack/cluster/internal/screen"
)

// Status prints how the cluster is, and returns whether all of it is up.
func Status(ctx context.Context, out io.Writer, l Layout) (up bool, err error) {
	owner, err := host.ReadOwner()
	if err != nil {
		return false, err
	}
	if !owner.Has(l.State) {
		if _, err := os.Stat(l.pki("done")); err == nil {
			fmt.Fprintf(out, "The cluster in %s does not run; `up` starts it again, with its data.\n", l.State)
		} else {
			fmt.Fprintf(out, "There is no cluster in %s.\n", l.State)
		}
		if owner != nil {
			fmt.Fprintf(out, "This machine's node belongs to the one in %s.\n", owner.State)
		}
		return false, nil
	}
	up = true
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "COMPONENT\tSTATE\tPID\tUPTIME\tMEMORY\tADDRESS")
	for _, c := range components {
		record, err := c.record()
		if err != nil {
			return false, err
		}
		if !record.Alive() {
			up = false
			fmt.Fprintf(table, "%s\tdead\t-\t-\t-\t%s\n", c.name, c.address)
			continue
		}
		fmt.Fprintf(table, "%s\trunning\t%d\t%s\t%d MiB\t%s\n",
			c.name, record.PID, screen.Duration(record.Uptime()), record.Memory()>>20, c.address)
	}
	if err := table.Flush(); err != nil {
		return false, err
	}
	state := "Ready"
	if err := nodeReady(ctx, l); err != nil {
		up, state = false, fmt.Sprintf("not ready (%v)", err)
	}
	fmt.Fprintf(out, "\nNode        %s is %s\nKUBECONFIG  %s\nLogs        %s\n", Name, state, l.Kubeconfig(), l.Logs())
	return up, nil
}
