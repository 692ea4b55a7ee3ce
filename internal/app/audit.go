package app

import (
	"io"

	"laterna.dev/laterna/internal/apiserver/auditlog"
)

// server returns the configuration in the API server's terms.
func (a AuditConfig) server(stdout io.Writer) auditlog.Config {
	return auditlog.Config{
		PolicyFile: a.PolicyFile,
		LogPath:    a.LogPath,
		MaxAge:     a.LogMaxAge,
		MaxBackups: a.LogMaxBackups,
		MaxSize:    a.LogMaxSize,
		Stdout:     stdout,
	}
}
