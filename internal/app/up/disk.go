package up

import (
	"context"
	"log/slog"

	"laterna.dev/laterna/internal/app/agent"
	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/reserve"
	"laterna.dev/laterna/internal/hostresources"
)

// useReserve gives the reserve back before the store is opened, if the disk is full: a
// start must be able to write. While containers run they would take it first; what the
// store writes then has its place, and the agent ends who takes most.
func useReserve(ctx context.Context, dir datadir.Dir, log *slog.Logger) error {
	held := reserve.At(dir.Reserve())
	if !held.Wanted() || hostresources.Processes(ctx, dir) > 0 {
		return nil
	}
	if err := held.Release(); err != nil {
		return err
	}
	log.Warn("the disk of the data directory is full: its reserve is used for this start")
	return nil
}

// diskKeeper keeps the reserve and has the node, if there is one, make room.
func diskKeeper(c config.Config, dir datadir.Dir, p process, node *agent.Node) component.Component {
	cfg := reserve.Config{Reserve: reserve.At(dir.Reserve()), Want: c.ReservedDisk(), Clock: p.clocks.wall, Log: p.log}
	if node != nil {
		cfg.Relieve, cfg.Changed = node.RelieveDisk, node.DiskChanged
	}
	return component.Run("disk reserve", reserve.NewKeeper(cfg).Run)
}
