package credentialprovider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	configv1 "k8s.io/kubelet/config/v1"
	pluginv1 "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	strictjson "sigs.k8s.io/json"

	"laterna.dev/laterna/internal/plain"
	"laterna.dev/laterna/internal/redacted"
)

const (
	// programTimeout bounds a run of a plugin; it is upstream's. drainTimeout is how long
	// it is waited afterwards for processes that hold its output open.
	programTimeout = time.Minute
	drainTimeout   = time.Second
	// maxAnswer bounds what a plugin prints, maxError what of its standard error is looked
	// at, and maxComplaint what of that is shown, in bytes.
	maxAnswer    = 1 << 20
	maxError     = 64 << 10
	maxComplaint = 1 << 10
)

// question is what a plugin is told.
type question struct {
	image       string
	token       redacted.Text
	annotations map[string]string
}

// program is a plugin as it is run.
type program struct {
	path string
	args []string
	env  []configv1.ExecEnvVar
	// parallel has room for the runs that go on at a time.
	parallel chan struct{}
}

// complaint is a plugin's failure together with what it printed to its standard error,
// which is for the operator and not for the owners of pods.
type complaint struct {
	error
	stderr string
}

// ask runs the program. Nothing of the question is in its arguments or its environment, and
// nothing of the answer in an error.
func (p *program) ask(ctx context.Context, q question) (*pluginv1.CredentialProviderResponse, error) {
	select {
	case p.parallel <- struct{}{}:
		defer func() { <-p.parallel }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	request, err := json.Marshal(pluginv1.CredentialProviderRequest{
		TypeMeta: metav1.TypeMeta{APIVersion: pluginv1.SchemeGroupVersion.String(), Kind: "CredentialProviderRequest"},
		Image:    q.image, ServiceAccountToken: q.token.Reveal(), ServiceAccountAnnotations: q.annotations,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	stdout, stderr := &limited{size: maxAnswer, full: cancel}, &limited{size: maxError}
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(request), stdout, stderr
	cmd.Env = os.Environ()
	for _, e := range p.env {
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// What it has started ends with it.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = drainTimeout
	err = cmd.Run()
	switch {
	case stdout.over:
		err = fmt.Errorf("it printed more than %d bytes", maxAnswer)
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("it did not end within %s", programTimeout)
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil // it has ended well; whoever has its output open does not count
	}
	if err != nil {
		return nil, complaint{err, stderr.without(q.token)}
	}
	return answer(stdout.kept.Bytes())
}

// without is the beginning of what was written, without a secret: also without a part of
// it, should what is kept end within.
func (l *limited) without(secret redacted.Text) string {
	said, hidden := l.kept.String(), secret.Reveal()
	if hidden == "" {
		return plain.Text(said[:min(len(said), maxComplaint)])
	}
	if l.over {
		said = said[:max(0, len(said)-len(hidden))]
	}
	said = strings.ReplaceAll(said, hidden, redacted.Shown)
	return plain.Text(said[:min(len(said), maxComplaint)])
}

// answer reads what a plugin printed. The error repeats nothing of it.
func answer(raw []byte) (*pluginv1.CredentialProviderResponse, error) {
	var head metav1.TypeMeta
	if json.Unmarshal(raw, &head) != nil {
		return nil, errors.New("it did not print a CredentialProviderResponse as JSON")
	}
	version := pluginv1.SchemeGroupVersion.String()
	if head.APIVersion != version || head.Kind != "CredentialProviderResponse" {
		return nil, fmt.Errorf("it did not answer with apiVersion %s and kind CredentialProviderResponse", version)
	}
	var out pluginv1.CredentialProviderResponse
	if strict, err := strictjson.UnmarshalStrict(raw, &out); err != nil || len(strict) > 0 {
		return nil, errors.New("its CredentialProviderResponse has unknown, repeated or ill-typed fields")
	}
	switch out.CacheKeyType {
	case pluginv1.ImagePluginCacheKeyType, pluginv1.RegistryPluginCacheKeyType, pluginv1.GlobalPluginCacheKeyType:
	default:
		return nil, errors.New("cacheKeyType of its answer is not one of Image, Registry and Global")
	}
	if out.CacheDuration != nil && out.CacheDuration.Duration < 0 {
		return nil, errors.New("cacheDuration of its answer is negative")
	}
	return &out, nil
}

// limited keeps the beginning of what is written to it.
type limited struct {
	kept bytes.Buffer // not embedded: it would read without a bound
	size int
	over bool
	// full, if set, is called when there is more.
	full func()
}

// Write implements io.Writer. It never fails: a program that prints too much is ended, or
// goes on unheard.
func (l *limited) Write(p []byte) (int, error) {
	room := l.size - l.kept.Len()
	l.kept.Write(p[:min(room, len(p))])
	if len(p) > room && !l.over {
		l.over = true
		if l.full != nil {
			l.full()
		}
	}
	return len(p), nil
}
