package apiserver_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPods(t *testing.T) {
	s := boot(t, t.TempDir())
	client := s.privileged()
	const pods = "/api/v1/namespaces/default/pods"
	account := `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}}`
	if code, raw := s.fetch(client, "POST", "/api/v1/namespaces/default/serviceaccounts", strings.NewReader(account), "Content-Type", "application/json"); code != http.StatusCreated {
		t.Fatalf("%d %s", code, raw)
	}
	const right = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"right"},"spec":{"containers":[{"name":"main","image":"i:1"}]}}`
	if code, raw := s.fetch(client, "POST", pods, strings.NewReader(right), "Content-Type", "application/json"); code != http.StatusCreated {
		t.Fatalf("%d %s", code, raw)
	}

	t.Run("absurd quantities", func(t *testing.T) {
		const spec = `{"spec":{"containers":[{"name":"main","image":"i:1","resources":{"limits":{"cpu":"1e-2147483647"}}}]}}`
		for _, c := range []struct{ method, path, mediaType, body string }{
			{"POST", pods, "application/json", strings.Replace(spec, `{`, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"absurd"},`, 1)},
			{"PATCH", pods + "/right", "application/strategic-merge-patch+json", spec},
			{"PATCH", pods + "/right", "application/merge-patch+json", spec},
			{"PATCH", pods + "/right?fieldManager=m", "application/apply-patch+yaml", strings.Replace(spec, `{`, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"right"},`, 1)},
			{"PATCH", pods + "/right", "application/json-patch+json", `[{"op":"add","path":"/spec/overhead","value":{"cpu":"1e-2147483647"}}]`},
		} {
			began := time.Now()
			code, raw := s.fetch(client, c.method, c.path, strings.NewReader(c.body), "Content-Type", c.mediaType)
			if st := status(t, raw); code != http.StatusBadRequest || !strings.Contains(st.Message, "is out of range") {
				t.Errorf("%s %s: %d %s", c.method, c.mediaType, code, raw)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s %s took %v", c.method, c.mediaType, took)
			}
		}
	})

	t.Run("fields that are not honoured", func(t *testing.T) {
		body := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"foreign"},"spec":{"containers":[{"name":"main","image":"i"}],"volumes":[{"name":"h","nfs":{"server":"s","path":"/"}}]}}`
		resp, err := client.Post("https://"+s.addr+pods, "application/json", strings.NewReader(body))
		must(t, err)
		defer resp.Body.Close()
		want := `299 - "spec.volumes[0].nfs: this field is not honoured by Laterna: volumes of this kind are not mounted, and the pod does not start"`
		if got := resp.Header.Values("Warning"); resp.StatusCode != http.StatusCreated || len(got) != 1 || got[0] != want {
			t.Errorf("%s, warnings %q", resp.Status, got)
		}
	})

	t.Run("table", func(t *testing.T) {
		code, raw := s.fetch(client, "GET", pods+"/right", nil, "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
		var table metav1.Table
		must(t, json.Unmarshal(raw, &table))
		if code != http.StatusOK || len(table.Rows) != 1 || len(table.ColumnDefinitions) != 9 || table.Rows[0].Cells[2] != "Pending" {
			t.Errorf("%d %s", code, raw)
		}
	})

	t.Run("logs and streams of a pod without a node", func(t *testing.T) {
		for path, want := range map[string]int{
			"/right/log":                        http.StatusNoContent,
			"/right/log?tailLines=x":            http.StatusBadRequest,
			"/right/log?tailLines=-1":           http.StatusUnprocessableEntity,
			"/right/log?container=other":        http.StatusBadRequest,
			"/none/log":                         http.StatusNotFound,
			"/right/exec?command=x&stdout=true": http.StatusBadRequest,
			"/right/attach?stdout=true":         http.StatusBadRequest,
		} {
			if code, raw := s.fetch(client, "GET", pods+path, nil); code != want {
				t.Errorf("%s: %d, want %d: %s", path, code, want, raw)
			}
		}
	})

	t.Run("eviction", func(t *testing.T) {
		body := `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"right"}}`
		if code, raw := s.fetch(client, "POST", pods+"/right/eviction", strings.NewReader(body), "Content-Type", "application/json"); code != http.StatusCreated || status(t, raw).Status != "Success" {
			t.Errorf("%d %s", code, raw)
		}
		if code, _ := s.fetch(client, "GET", pods+"/right", nil); code != http.StatusNotFound {
			t.Errorf("after eviction: %d", code)
		}
	})
}
