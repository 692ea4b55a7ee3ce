package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/aws/sigv4/sigv4test"
	"laterna.dev/laterna/test/system"
)

// manyRoles is how many there are in one account.
const manyRoles = 100_000

// measureRoles measures IAM with many roles, by the Query API.
func measureRoles(ctx context.Context, b *bench) ([]figure, error) {
	s, err := b.started("--node=false")
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	before, err := occupied(s)
	if err != nil {
		return nil, err
	}
	all, err := administrators(ctx, b, s, loads[0])
	if err != nil {
		return nil, err
	}
	created, err := createRoles(ctx, s, all)
	if err != nil {
		return nil, err
	}
	figures := []figure{created.figure(fmt.Sprintf("%d roles, CreateRole, %d clients", manyRoles, len(all)), 0)}
	for _, step := range []struct {
		what string
		form func(id, n int) url.Values
	}{
		{"GetRole", func(id, n int) url.Values {
			return url.Values{"Action": {"GetRole"}, "RoleName": {roleName((id*7919 + n*104729) % manyRoles)}}
		}},
		{"ListRoles, a page of 100", func(int, int) url.Values { return url.Values{"Action": {"ListRoles"}} }},
	} {
		l, err := load(ctx, s, make([]kubernetes.Interface, len(all)), func(ctx context.Context, _ kubernetes.Interface, id, n int) error {
			_, err := all[id].call(ctx, step.form(id, n))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
		figures = append(figures, l.figure(fmt.Sprintf("%s of %d roles, %d clients", step.what, manyRoles, len(all)), 0))
	}
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	after, err := occupied(s)
	if err != nil {
		return nil, err
	}
	figures = append(figures, figure{What: fmt.Sprintf("memory with %d roles", manyRoles), Value: after.rss, Unit: "MiB", Note: fmt.Sprintf("RSS; %s before", number(before.rss))})
	return figures, b.remove(s)
}

func roleName(n int) string { return fmt.Sprintf("role-%06d", n) }

// administrator calls IAM with the key of an account, over a connection of its own.
type administrator struct {
	client *http.Client
	url    string
	keys   sigv4test.Credentials
}

// administrators prepares an account and returns n that call for it.
func administrators(ctx context.Context, b *bench, s *system.System, n int) ([]administrator, error) {
	out, err := exec.CommandContext(ctx, b.programs.Path("laterna"), "aws", "init", "--data-dir", s.Dir, "-o", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("laterna aws init: %w", err)
	}
	var made struct {
		Key struct {
			Name string `json:"name"`
		} `json:"accessKey"`
		Secret string `json:"secretAccessKey"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		return nil, err
	}
	var all []administrator
	for range n {
		config, err := s.Config()
		if err != nil {
			return nil, err
		}
		config = rest.AnonymousClientConfig(config)
		config.Dial = new(net.Dialer).DialContext
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			return nil, err
		}
		all = append(all, administrator{client, strings.TrimSuffix(config.Host, "/") + "/aws/",
			sigv4test.Credentials{ID: made.Key.Name, Secret: made.Secret, Region: "us-east-1", Service: "iam"}})
	}
	return all, nil
}

func (a administrator) call(ctx context.Context, form url.Values) ([]byte, error) {
	form.Set("Version", "2010-05-08")
	body := form.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a.keys.Sign(r, body, time.Now())
	res, err := a.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, raw)
	}
	return raw, err
}

// createRoles makes all of them, each client its share.
func createRoles(ctx context.Context, s *system.System, all []administrator) (loaded, error) {
	before, err := cpuTime(s.PID())
	if err != nil {
		return loaded{}, err
	}
	begin := time.Now()
	times, errs := make([]durations, len(all)), make([]error, len(all))
	var wg sync.WaitGroup
	for id, a := range all {
		wg.Go(func() {
			for n := id; n < manyRoles && errs[id] == nil; n += len(all) {
				at := time.Now()
				_, errs[id] = a.call(ctx, url.Values{"Action": {"CreateRole"}, "RoleName": {roleName(n)}, "AssumeRolePolicyDocument": {benchTrust}})
				times[id] = append(times[id], time.Since(at))
			}
		})
	}
	wg.Wait()
	l := loaded{requests: manyRoles, wall: time.Since(begin)}
	for _, t := range times {
		l.times = append(l.times, t...)
	}
	after, err := cpuTime(s.PID())
	l.cpu = after - before
	return l, errors.Join(append(errs, err)...)
}

// benchTrust is as long as trust policies for service accounts are.
const benchTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::000000000000:oidc-provider/kubernetes.default.svc"},` +
	`"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"kubernetes.default.svc:sub":"system:serviceaccount:default:app","kubernetes.default.svc:aud":"sts.amazonaws.com"}}}]}`
