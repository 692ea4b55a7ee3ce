package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	apiserviceaccount "k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/aws/podidentity/identityfile"
	"laterna.dev/laterna/internal/aws/sts"
)

// usualRegion is where the cluster would be that has no --aws-default-region.
const usualRegion = "us-east-1"

// podCluster is the cluster as STS knows it for EKS Pod Identity, nil where no file lists
// service accounts with container credentials.
func (s *Server) podCluster() (*sts.Cluster, error) {
	settings := s.config.PodIdentity
	if settings.IdentitiesFile == "" {
		return nil, nil
	}
	file, err := identityfile.Open(settings.IdentitiesFile)
	if err != nil {
		return nil, err
	}
	c := &sts.Cluster{
		Issues: s.isOwnIssuer, Bearer: func(ctx context.Context, token, audience string) (sts.Bearer, error) {
			return bearerOf(ctx, s.tokens.Check, token, audience)
		}, Region: settings.Region,
		Associations: func() podidentity.Identities {
			known, _ := file.Identities() // admission says what is wrong with it; the last good one counts
			return known
		},
	}
	if c.Region == "" {
		c.Region = usualRegion
	}
	return c, nil
}

// bearerOf says whose a token for an audience is, if all that it is bound to exists.
func bearerOf(ctx context.Context, check authenticator.Token, token, audience string) (sts.Bearer, error) {
	found, ok, err := check.AuthenticateToken(authenticator.WithAudiences(ctx, authenticator.Audiences{audience}), token)
	if err != nil {
		return sts.Bearer{}, err
	}
	if !ok {
		return sts.Bearer{}, errors.New("it is no token of this cluster")
	}
	return bearerAs(found.User)
}

func bearerAs(u user.Info) (sts.Bearer, error) {
	namespace, name, err := apiserviceaccount.SplitUsername(u.GetName())
	if err != nil {
		return sts.Bearer{}, err
	}
	b := sts.Bearer{Namespace: namespace, ServiceAccount: name}
	for key, into := range map[string]*string{apiserviceaccount.PodNameKey: &b.Pod, apiserviceaccount.PodUIDKey: &b.PodUID} {
		if values := u.GetExtra()[key]; len(values) == 1 {
			*into = values[0]
		}
	}
	return b, nil
}

// ServePodAgent answers pods that ask for the credentials of EKS Pod Identity, in plain HTTP,
// until ctx ends; it closes the listener. The server must have started, with a file of
// container credentials.
func (s *Server) ServePodAgent(ctx context.Context, l net.Listener) error {
	server := http.Server{
		Handler:           s.aws.Agent,
		MaxHeaderBytes:    64 << 10,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	ended := context.AfterFunc(ctx, func() { server.Close() })
	defer ended()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving container credentials: %w", err)
	}
	return nil
}
