// Command ambassador is `laterna proxy` alone, for the image laterna.dev/ambassador: it
// runs beside the containers of a pod, in every pod that has one, where the whole program
// would take seven times the disk and the memory.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"laterna.dev/laterna/internal/proxy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "ambassador:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var f proxy.Flags
	fs := pflag.NewFlagSet("ambassador", pflag.ContinueOnError)
	f.Bind(fs)
	if err := errors.Join(fs.Parse(args), f.Check()); err != nil {
		return err
	}
	api, err := proxy.InPod()
	if err == nil && api == nil {
		err = errors.New("this is no pod: elsewhere `laterna proxy` does the same")
	}
	if err != nil {
		return err
	}
	return f.Run(ctx, api, os.Stdout, os.Stderr)
}
