package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPodProjectionShowsRejectedUpdatesAndActions(t *testing.T) {
	t.Parallel()
	w := newWeb(t, "gzip on;", checkNginx, signalNginx)
	w.running(t, w.ns, "web")
	w.condition(t, w.ns, "web", "Published")
	shown := w.field(t, w.ns, "pproj/web", `{.status.volumes[?(@.name=="config")].sources[0].publishedVersion}`)
	w.patch("gzip broken;")
	w.condition(t, w.ns, "web", "UpdateRejected")
	at := `{.status.volumes[?(@.name=="config")]%s}`
	field := func(path string) string { return w.field(t, w.ns, "pproj/web", fmt.Sprintf(at, path)) }
	if got := field(".sources[0].publishedVersion"); got != shown {
		t.Errorf("version %s is published, want %s still", got, shown)
	}
	if newest := w.field(t, w.ns, "configmap/web", "{.metadata.resourceVersion}"); field(".sources[0].observedVersion") != newest {
		t.Errorf("observed %s, want %s", field(".sources[0].observedVersion"), newest)
	}
	contains(t, field(".checks[0]"), `"container":"nginx"`, `"result":"Rejected"`, "invalid value \\\"broken\\\" in \\\"gzip\\\" directive")
	contains(t, w.sh(t, w.k+"get pproj -o wide"), "check nginx in nginx: Rejected")

	w.patch("gzip off;")
	w.condition(t, w.ns, "web", "Published")
	eventually(t, 10*time.Second, func() error {
		if got := field(".actions[0]"); !strings.Contains(got, `"action":"signal SIGHUP"`) || !strings.Contains(got, `"result":"Succeeded"`) {
			return fmt.Errorf("action %s", got)
		}
		return nil
	})
	if field(".checks[0].result") != "Succeeded" || field(".actions[0].generation") != field(".generation") {
		t.Errorf("volume %s", field(""))
	}
}
