package apiserver

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"

	clientv3 "go.etcd.io/etcd/client/v3"

	"laterna.dev/laterna/internal/apiserver/answers"
	"laterna.dev/laterna/internal/encryption"
	"laterna.dev/laterna/internal/encryption/atrest"
)

// signingKeysPath is where the signing keys are in the store, below /laterna/.
const signingKeysPath = "keys"

// serverName is what people know the server by that advertises an address.
func serverName(advertised netip.AddrPort) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s (%s)", host, advertised)
}

// encryptionRules reads the encryption provider configuration; nil where there is none.
// life bounds the connections to KMS plugins.
func (s *Server) encryptionRules(life context.Context) (*atrest.Configuration, error) {
	c := s.config.Store
	if c.EncryptionProviderConfig == "" {
		return nil, nil
	}
	rules, err := atrest.LoadConfiguration(life, atrest.ConfigurationConfig{
		File:   c.EncryptionProviderConfig,
		Reload: c.EncryptionProviderReload,
		Server: serverName(s.config.Serving.Advertise),
		Clock:  s.config.Wall,
		Log:    s.config.Log,
	})
	if err != nil {
		return nil, err
	}
	s.background.Go(func() { rules.Run(life) })
	return rules, nil
}

// keepEncryption makes what changes keys, and brings the keys of this server in line
// with what other servers have done, before it writes anything.
func (s *Server) keepEncryption(ctx context.Context, client *clientv3.Client, box *atrest.Box) error {
	s.keeper = encryption.New(encryption.Config{
		Client:         client,
		Box:            box,
		Transformer:    s.backend.encryptionOf,
		Sealed:         []string{"/laterna/" + signingKeysPath},
		Server:         serverName(s.config.Serving.Advertise),
		ProviderConfig: s.config.Store.EncryptionProviderConfig,
		Settle:         cmp.Or(s.config.Store.EncryptionSettle, answers.RequestTimeout),
		Clock:          s.config.Wall,
		Log:            s.config.Log,
	})
	if err := s.keeper.Settle(ctx); err != nil {
		return fmt.Errorf("settling the encryption of the store: %w", err)
	}
	return nil
}
