package apiserver

import "context"

// Reach is a row of the table of routes, for tests from outside.
type Reach struct {
	Path string
	// To is whom the default roles let in: 0 administrators, 1 monitors, 2 everybody
	// with credentials, 3 everybody.
	To int
}

// Routes returns the table of routes. The server must have started.
func (s *Server) Routes() (rows []Reach) {
	for _, r := range s.routes() {
		rows = append(rows, Reach{r.path, int(r.to)})
	}
	return rows
}

// DialIssuer connects to an issuer as STS does.
func (s *Server) DialIssuer(ctx context.Context, address string) error {
	conn, err := s.aws.DialIssuer(ctx, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// ServesCustomResources tells whether what custom resources need has begun.
func (s *Server) ServesCustomResources() bool { return s.custom.Begun() }
