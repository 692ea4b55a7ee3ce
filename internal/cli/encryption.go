package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/encryption"
	"laterna.dev/laterna/internal/encryption/atrest"
)

// encryptionPoll is the time between two looks of a command that waits.
const encryptionPoll = 500 * time.Millisecond

func newEncryption() *cobra.Command {
	cmd := parent(&cobra.Command{
		Use:   "encryption",
		Short: "Look at the encryption of the store and change its key",
		Long: `Look at the encryption of the store and change its key. Secrets and signing keys are
encrypted in the store with a key from pki/encryption.key of the data directory.`,
	})
	cmd.AddCommand(newEncryptionStatus(), newEncryptionRotate(), newEncryptionRewrite())
	return cmd
}

func newEncryptionStatus() *cobra.Command {
	var target targetFlags
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the keys, what is sealed with them, and how far a rotation is",
		Long: `Show the keys, what is sealed with them, and how far a rotation is. The server reads the
whole store to tell.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usageError(cmd, "--output: %q is neither table nor json", output)
			}
			s, err := askEncryption(cmd.Context(), target, "")
			if err != nil {
				return fmt.Errorf("asking for the encryption of the store: %w", err)
			}
			if output == "json" {
				return printJSON(cmd.OutOrStdout(), s)
			}
			return printEncryption(cmd.OutOrStdout(), s)
		},
	}
	target.bind(cmd.Flags())
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORMAT`: table or json")
	return cmd
}

func newEncryptionRotate() *cobra.Command {
	cmd := encryptionChange(encryption.RotatePath, "rotating")
	cmd.Use, cmd.Short = "rotate", "Make a new key, encrypt everything with it, and remove the old one"
	cmd.Long = `Make a new key, encrypt everything with it, and remove the old one, in the background and
while the system runs. A crash loses nothing, the rotation goes on at the next start. The
old key goes when the whole store was read and nothing is sealed with it, at the earliest
a minute after the last server has ceased to write with it.

Where several servers use one store, the rotation waits until all of them have the new
key: copy pki/encryption.key from the server that was asked to the others.

Backups that were made before need the old key: keep it with them.`
	cmd.Example = `  cp /var/lib/laterna/pki/encryption.key /backup/     # if there are backups
  laterna encryption rotate --wait`
	return cmd
}

func newEncryptionRewrite() *cobra.Command {
	cmd := encryptionChange(encryption.RewritePath, "rewriting")
	cmd.Use, cmd.Short = "rewrite", "Encrypt again whatever is not encrypted with the current key and rules"
	cmd.Long = `Encrypt again whatever is not encrypted with the current key and rules, in the background: after a change
of the file that --encryption-provider-config names.`
	return cmd
}

// encryptionChange is a command that asks the server for a change.
func encryptionChange(path, doing string) *cobra.Command {
	var target targetFlags
	var wait bool
	cmd := &cobra.Command{
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := askEncryption(cmd.Context(), target, path)
			if err != nil {
				return fmt.Errorf("%s: %w", doing, err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), describeEncryption(s.Rotation))
			if !wait {
				fmt.Fprintln(cmd.OutOrStdout(), "`laterna encryption status` tells how far it is")
				return nil
			}
			return followEncryption(cmd.Context(), cmd.OutOrStdout(), target, s.Rotation)
		},
	}
	target.bind(cmd.Flags())
	cmd.Flags().BoolVar(&wait, "wait", false, "show the progress, and return when it is complete")
	return cmd
}

// askEncryption returns what the server says of the encryption. If path is not empty,
// it first asks for the change that it stands for.
func askEncryption(ctx context.Context, target targetFlags, path string) (*encryption.Status, error) {
	client, err := target.client()
	if err != nil {
		return nil, err
	}
	return encryptionStatus(ctx, client, path)
}

func encryptionStatus(ctx context.Context, client kubernetes.Interface, path string) (*encryption.Status, error) {
	request := client.CoreV1().RESTClient().Get().AbsPath(encryption.Path)
	if path != "" {
		request = client.CoreV1().RESTClient().Post().AbsPath(path)
	}
	answer := request.Do(ctx)
	if err := answer.Error(); err != nil {
		return nil, explain(err)
	}
	raw, err := answer.Raw()
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	s := &encryption.Status{}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return s, nil
}

// followEncryption prints every news of a rotation until it is complete.
func followEncryption(ctx context.Context, out io.Writer, target targetFlags, r *encryption.Rotation) error {
	client, err := target.client()
	if err != nil {
		return err
	}
	began, last := r.Started, describeEncryption(r)
	tick := time.NewTicker(encryptionPoll)
	defer tick.Stop()
	for {
		s, err := encryptionStatus(ctx, client, "")
		switch {
		case err != nil:
			return fmt.Errorf("asking how far it is (it goes on in the background): %w", err)
		case s.Rotation == nil || !s.Rotation.Started.Equal(began):
			return errors.New("another rotation has begun")
		}
		if now := describeEncryption(s.Rotation); now != last {
			fmt.Fprintln(out, now)
			last = now
		}
		if s.Rotation.State == encryption.Complete {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("not waiting any longer, it goes on in the background")
		}
	}
}

// describeEncryption says in one line how far a rotation is.
func describeEncryption(r *encryption.Rotation) string {
	what := fmt.Sprintf("rotation to %s", r.Key.Name)
	if len(r.Old) == 0 {
		what = "rewriting"
	}
	text := fmt.Sprintf("%s: %s, %d values rewritten", what, strings.ToLower(string(r.State)), r.Rewritten)
	if r.State == encryption.Complete && len(r.Old) > 0 {
		text += ", " + strings.Join(r.Old, ", ") + " removed"
	}
	if r.Message != "" {
		text += "; " + r.Message
	}
	return text
}

func printEncryption(out io.Writer, s *encryption.Status) error {
	fmt.Fprintf(out, "Key file:      %s\n", s.KeyFile)
	if s.ProviderConfig != "" {
		fmt.Fprintf(out, "Rules:         %s\n", s.ProviderConfig)
	}
	last := "none yet"
	if s.Rotation != nil {
		last = describeEncryption(s.Rotation)
	}
	fmt.Fprintf(out, "Last change:   %s\n", last)
	if s.Stale > 0 {
		fmt.Fprintf(out, "To rewrite:    %d values are not encrypted as they would be now\n", s.Stale)
	}
	for _, at := range s.Unreadable {
		fmt.Fprintf(out, "Unreadable:    %s\n", at)
	}
	if err := printEncryptionKeys(out, s.Servers); err != nil {
		return err
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "ENCRYPTED WITH\tVALUES")
	for _, label := range slices.Sorted(maps.Keys(s.Values)) {
		name := label
		if label == atrest.Plain {
			name = "nothing"
		}
		fmt.Fprintf(w, "%s\t%d\n", name, s.Values[label])
	}
	return w.Flush()
}

func printEncryptionKeys(out io.Writer, servers []encryption.Server) error {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "SERVER\tKEY\tFINGERPRINT\tUSE")
	for _, server := range servers {
		for i, key := range server.Keys {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", server.Name, key.Name, key.Fingerprint, keyUse(i))
		}
	}
	return w.Flush()
}

func keyUse(position int) string {
	if position == 0 {
		return "encrypts"
	}
	return "decrypts"
}
