// Command image packs a Go program into a container image for several platforms, as an OCI archive, with a list of what is in it:
// without a container engine, and without a registry. The same sources make the same bytes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// spec is what to make of what.
type spec struct {
	dir, program string // the module, and its main package in it
	name         string // with tag
	out          string
	platforms    []string
}

func main() {
	s, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	began := time.Now()
	archive, err := pack(ctx, s)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s  %s, %.1f MB  %.0f s\n%s\n%s\n", s.out, strings.Join(s.platforms, ", "), float64(archive.bytes)/1e6, time.Since(began).Seconds(),
		archive.digest, strings.Join(archive.lists, "\n"))
}

func parse(args []string) (spec, error) {
	s, platforms := spec{}, ""
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&s.dir, "dir", "../..", "folder of the module")
	flags.StringVar(&s.program, "package", "workorders.dev/operator", "path of the main package")
	flags.StringVar(&s.name, "name", "workorders.dev/operator:dev", "name and tag of the image")
	flags.StringVar(&s.out, "out", "", "archive to write, as dist/image/operator.tar")
	flags.StringVar(&platforms, "platforms", "linux/amd64,linux/arm64", "what it is to run on")
	if err := flags.Parse(args); err != nil {
		return spec{}, err
	}
	s.platforms = strings.Split(platforms, ",")
	if s.out == "" || flags.NArg() > 0 {
		return spec{}, fmt.Errorf("say with -out where to write the archive, and nothing besides flags")
	}
	var err error
	s.dir, err = filepath.Abs(s.dir)
	return s, err
}
