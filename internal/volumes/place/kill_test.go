package place_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	baseclock "k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/internal/volumes/place"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// The environment of a process that is an agent: where the API is, the pods
// directory, and the pod.
const (
	agentAPI  = "VOLUMES_TEST_API"
	agentRoot = "VOLUMES_TEST_ROOT"
	agentPod  = "VOLUMES_TEST_POD"
)

func TestMain(m *testing.M) {
	if os.Getenv(agentAPI) == "" {
		os.Exit(m.Run())
	}
	if err := agent(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// agent keeps one pod's volumes fresh until it is killed.
func agent() error {
	pod := &corev1.Pod{}
	if err := yaml.Unmarshal([]byte(os.Getenv(agentPod)), pod); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(&rest.Config{Host: os.Getenv(agentAPI), QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		return err
	}
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	m, err := place.New(ctx, place.Config{
		Objects: objects.New(ctx, objects.Config{Client: client, Clock: clock.APIOf(clock.Real()), Log: log}),
		Tokens:  tokencache.New(ctx, tokencache.Config{Client: client, Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Log: log}),
		Root:    os.Getenv(agentRoot), Clock: clock.APIOf(hasty{began: time.Now()}), Wall: clock.Real(), Log: log,
		NodeAllocatable: func() corev1.ResourceList { return nil },
		Event:           func(*corev1.Pod, string, string, string) {},
	})
	if err != nil {
		return err
	}
	if err := m.Setup(ctx, pod); err != nil {
		return err
	}
	fmt.Println("ready")
	select {}
}

// hasty is a clock that runs so fast that replaced files do not hold up a writer.
type hasty struct {
	baseclock.RealClock
	began time.Time
}

const haste = 200

func (c hasty) Now() time.Time { return c.began.Add(haste * time.Since(c.began)) }

func (c hasty) AfterFunc(d time.Duration, f func()) clock.Timer {
	return c.RealClock.AfterFunc(d/haste, f)
}

// process starts an agent and returns once it is ready.
func process(t *testing.T, api string, root string, pod []byte) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), agentAPI+"="+api, agentRoot+"="+root, agentPod+"="+string(pod))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatal(line, err, cmd.Wait())
	}
	return cmd
}

func TestAnAgentThatIsKilledAnywhere(t *testing.T) {
	const files, kills = 40, 25
	server := fakeapi.New(t)
	server.Put(wide(files, "0"))
	b := newBench(t, server)
	p := b.pod("p", one("projected: {sources: [{configMap: {name: c}}, {serviceAccountToken: {path: a/token}}]}"))
	b.setup(p)
	dir := b.mount(p)
	if err := b.end(); err != nil {
		t.Fatal(err)
	}
	pod, err := yaml.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	url := server.Client().CoreV1().RESTClient().Get().URL()

	stop := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() { // writes as fast as it can
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
				server.Put(wide(files, fmt.Sprint(n)))
				time.Sleep(200 * time.Microsecond)
			}
		}
	})
	seen := map[string]bool{}
	for range kills {
		cmd := process(t, url.Scheme+"://"+url.Host, b.root, pod)
		time.Sleep(rand.N(20 * time.Millisecond))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		value, err := whole(dir, files)
		if err != nil || !strings.HasPrefix(read(dir, "a/token"), "token-") {
			t.Errorf("after a kill: %v, token %q", err, read(dir, "a/token"))
		}
		seen[value] = true
	}
	close(stop)
	busy.Wait()
	t.Logf("%d states after %d kills", len(seen), kills)
	if len(seen) < kills/2 {
		t.Errorf("the agents published %d states only", len(seen))
	}

	b.start()
	b.Adopt([]*corev1.Pod{p})
	server.Put(wide(files, "last"))
	eventually(t, "the last state", func() bool { value, _ := whole(dir, files); return value == "last" })
	eventually(t, "no remains", func() bool { return len(staged(t, dir)) == 0 })
	if _, err := os.Lstat(dir + "/..data_tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("..data_tmp: %v", err)
	}
}
