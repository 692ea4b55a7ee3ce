package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"laterna.dev/laterna/internal/inspect"
	"laterna.dev/laterna/internal/plain"
	"laterna.dev/laterna/internal/tokens/issuer"
	"laterna.dev/laterna/internal/tokens/issuer/static"
)

// exportFlags are the flags of `issuer export`.
type exportFlags struct {
	target  targetFlags
	issuers []string
	jwksURI string
	force   bool
}

func newIssuerExport() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Write discovery documents and keys as files for a web server or a bucket",
		Long: `Write the discovery document and the keys of every accepted issuer as files, for a web
server or a bucket to publish: DIR/HOST/PATH/.well-known/openid-configuration and
DIR/HOST/PATH/openid/v1/jwks, as relying parties ask for them. An issuer that is to come
can be prepared: name it with --issuer before you change to it.

Files are replaced in one step. A file that an export did not write, or that was changed
since, is not replaced unless --force is given; ` + static.Manifest + ` in DIR keeps what was written.
Export and upload again whenever keys change: a new key signs an hour after
"laterna keys rotate".`,
		Example: `  laterna issuer export site
  laterna issuer export site --issuer https://tokens.example.com
  laterna issuer export site --jwks-uri https://keys.example.com/jwks.json`,
		Args: oneArg("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fs := cmd.Flags()
	f.target.bind(fs)
	fs.StringArrayVar(&f.issuers, "issuer", nil, "`URL` of the issuer to export instead of all accepted ones; repeatable")
	fs.StringVar(&f.jwksURI, "jwks-uri", "", "https `URL` of the keys (default: that of --service-account-jwks-uri, or below each issuer)")
	fs.BoolVar(&f.force, "force", false, "replace files that no export has written")
	return cmd
}

func (f *exportFlags) run(cmd *cobra.Command, dir string) error {
	if f.jwksURI != "" {
		if err := issuer.ValidateJWKSURI(f.jwksURI); err != nil {
			return usageError(cmd, "--jwks-uri: %v", err)
		}
	}
	notes := cmd.ErrOrStderr()
	pages, err := f.pages(cmd.Context(), notes)
	if err != nil {
		return err
	}
	stale, err := static.Write(dir, pages, f.force)
	if err != nil {
		return fmt.Errorf("exporting to %s: %s", dir, plain.Text(err.Error()))
	}
	if len(f.issuers) == 0 {
		for _, file := range stale {
			fmt.Fprintf(notes, "note: %s is of an earlier export and was left\n", plain.Text(filepath.Join(dir, file)))
		}
	}
	return printUploads(cmd.OutOrStdout(), dir, pages)
}

// pages asks the system for what is to be written.
func (f *exportFlags) pages(ctx context.Context, notes io.Writer) ([]static.Page, error) {
	system, err := f.target.system()
	if err != nil {
		return nil, err
	}
	listing, err := system.Listing(ctx)
	if err != nil {
		return nil, explain(err)
	}
	names, err := f.choose(listing, notes)
	if err != nil {
		return nil, err
	}
	keySet, _, err := system.KeySet(ctx)
	if err != nil {
		return nil, explain(err)
	}
	uri := f.jwksURI
	if uri == "" {
		uri = listing.JWKSURI
	}
	return static.Pages(names, uri, keySet)
}

// choose returns the issuers to export.
func (f *exportFlags) choose(listing inspect.Listing, notes io.Writer) (names []string, err error) {
	for _, name := range f.issuers {
		if err := issuer.Undiscoverable(name); err != nil {
			return nil, fmt.Errorf("--issuer: %w, so relying parties cannot discover it", err)
		}
		if one, ok := listing.Find(name); !ok || one.State == issuer.Ended {
			fmt.Fprintf(notes, "note: %s is not accepted by this system now\n", plain.Text(name))
		}
		names = append(names, name)
	}
	if len(names) > 0 {
		return names, nil
	}
	for _, one := range listing.Issuers {
		if one.State == issuer.Ended {
			continue
		}
		if err := issuer.Undiscoverable(one.Issuer); err != nil {
			fmt.Fprintf(notes, "note: %s and is left out: relying parties cannot discover it\n", plain.Text(err.Error()))
			continue
		}
		names = append(names, one.Issuer)
	}
	if len(names) == 0 {
		return nil, errors.New("no accepted issuer can be discovered; name one with --issuer")
	}
	return names, nil
}

// printUploads says what goes where.
func printUploads(out io.Writer, dir string, pages []static.Page) error {
	fmt.Fprintf(out, "%d files written; publish them in this order, readable for everybody:\n\n", len(pages))
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "FILE\tAS\tCONTENT-TYPE")
	for _, p := range pages {
		fmt.Fprintf(w, "%s\t%s\t%s\n", plain.Text(filepath.Join(dir, p.Path)), plain.Text(p.URL), p.Type)
	}
	return w.Flush()
}
