package cli

import (
	"crypto/x509"
	"fmt"

	"github.com/spf13/pflag"

	"laterna.dev/laterna/boundtoken/discovery"
	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/inspect"
)

// elsewhereFlags let a command fetch public documents as relying parties do.
type elsewhereFlags struct {
	discover bool
	ca       string
}

// mostAuthorities is how large a file of authorities may be, in bytes; that of a whole
// distribution has a quarter of a megabyte.
const mostAuthorities = 8 << 20

func (f *elsewhereFlags) bind(fs *pflag.FlagSet, discover string) {
	fs.BoolVar(&f.discover, "discover", false, discover)
	fs.StringVar(&f.ca, "issuer-ca", "", "`FILE` with the certificate authorities to trust for the issuer's host, instead of the machine's; implies --discover")
}

// client returns what fetches the documents, or nil when the flags do not ask for it.
func (f *elsewhereFlags) client() (inspect.Discoverer, error) {
	if f.ca == "" {
		if f.discover {
			return discovery.NewClient(discovery.ClientConfig{}), nil
		}
		return nil, nil
	}
	raw, err := bounded.Input(f.ca, mostAuthorities)
	if err != nil {
		return nil, fmt.Errorf("--issuer-ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("--issuer-ca: %s holds no certificate in PEM form", f.ca)
	}
	return discovery.NewClient(discovery.ClientConfig{Roots: roots}), nil
}
