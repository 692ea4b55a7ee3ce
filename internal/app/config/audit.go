package config

import (
	"io"

	"laterna.dev/laterna/internal/apiserver/auditlog"
)

// Log returns the configuration in the terms of the API server; stdout is where - leads.
func (a Audit) Log(stdout io.Writer) auditlog.Config {
	return auditlog.Config{
		PolicyFile: a.PolicyFile,
		LogPath:    a.LogPath,
		MaxAge:     a.LogMaxAge,
		MaxBackups: a.LogMaxBackups,
		MaxSize:    a.LogMaxSize,
		Stdout:     stdout,
	}
}
