package arch_test

// level is the place of a package in the house. A package imports packages of
// lower levels, and of its own level only within its own tree.
type level struct {
	tree  string // import path below the module, with everything under it
	level int
}

// levels lists every package of the module by its tree; the longest match counts.
var levels = []level{
	{"api", 0},
	{"internal/bounded", 0},
	{"internal/clock", 0},
	{"internal/host/replace", 0},
	{"internal/log", 0},
	{"internal/plain", 0},
	{"internal/redacted", 0},
	{"internal/wait", 0},
	{"internal/registry/core/podspec/check", 0},
	{"internal/registry/wire", 0},

	{"boundtoken", 1},
	{"boundtoken/jwks", 1},
	{"internal/component", 1},
	{"internal/datadir", 1},
	{"internal/follow", 1},
	{"internal/host/cgroups", 1},
	{"internal/host/launch", 1},
	{"internal/host/machine", 1},
	{"internal/host/mounts", 1},
	{"internal/host/netlink", 1},
	{"internal/host/netns", 1},
	{"internal/host/procfs", 1},
	{"internal/host/resident", 1},
	{"internal/host/rootfd", 1},
	{"internal/host/rtnl", 1},
	{"internal/httpget", 1},
	{"internal/nodefields", 1},
	{"internal/registry/core/podspec/downward", 1},
	{"internal/registry/core/podspec/imageref", 1},
	{"internal/registry/quantity", 1},
	{"internal/upgrade", 1},
	{"projection/atomicdir", 1},

	{"boundtoken/discovery", 2},
	{"internal/host/reserve", 2},
	{"internal/pki", 2},
	{"internal/podfields", 2},
	{"internal/registry/bounds", 2},
	{"internal/registry/core/podspec/network", 2},
	{"internal/registry/core/podspec/scheduling", 2},
	{"internal/registry/core/podspec/security", 2},
	{"internal/registry/core/podspec/volumes", 2},
	{"internal/etcd/walk", 2},
	{"internal/tokens/issuer", 2},
	{"internal/tokens/keys", 2},
	{"projection", 2},

	{"internal/admission", 3},
	{"internal/authz", 3},
	{"internal/controller", 3},
	{"internal/encryption", 3},
	{"internal/generated", 3},
	{"internal/inspect", 3},
	{"internal/network/bridge", 2},
	{"internal/network/nftables", 1},
	{"internal/network/plane", 4},
	{"internal/network/ports", 3},
	{"internal/network/services", 2},
	{"internal/node/env", 3},
	{"internal/node/events", 3},
	{"internal/node/logs", 3},
	{"internal/node/seccomp", 3},
	{"internal/ownapi", 3},
	{"internal/registry/authentication", 3},
	{"internal/registry/authorization", 3},
	{"internal/registry/config", 3},
	{"internal/registry/coordination", 3},
	{"internal/registry/core/configmap", 3},
	{"internal/registry/core/endpoints", 3},
	{"internal/registry/core/event", 3},
	{"internal/registry/core/namespace", 3},
	{"internal/registry/core/node", 3},
	{"internal/registry/core/pod", 3},
	{"internal/registry/core/secret", 3},
	{"internal/registry/core/service", 3},
	{"internal/registry/core/serviceaccount", 3},
	{"internal/registry/core/serviceaccount/token", 3},
	{"internal/registry/discovery", 3},
	{"internal/registry/identity", 3},
	{"internal/registry/node", 3},
	{"internal/registry/operator", 3},
	{"internal/registry/precheck", 3},
	{"internal/registry/projection", 3},
	{"internal/registry/rbac", 3},
	{"internal/registry/resource", 3},
	{"internal/registry/scheduling", 3},
	{"internal/registry/scheme", 3},
	{"internal/registry/storage", 3},
	{"internal/registry/core/podspec", 3},
	{"internal/registry/core/podspec/containers", 3},
	{"internal/registry/core/podspec/resources", 3},
	{"internal/runtime/containerd", 3},
	{"internal/runtime/cri", 3},
	{"internal/runtime/images", 3},
	{"internal/runtime/managed", 3},
	{"internal/runtime/pause", 3},
	{"internal/tokens/review", 3},
	{"internal/etcd/damaged", 3},
	{"internal/tokens/uses", 3},
	{"internal/volumes/freshpath", 3},
	{"internal/volumes/issuerrevision", 3},
	{"internal/volumes/objects", 3},
	{"internal/volumes/onupdate", 3},
	{"internal/volumes/place", 3},
	{"internal/volumes/podprojection", 3},
	{"internal/volumes/publish", 3},
	{"internal/volumes/tokencache", 3},

	{"internal/apiserver", 4},
	{"internal/doctor", 4},
	{"internal/etcd", 4},
	{"internal/hostresources", 4},
	{"internal/node", 4},
	{"internal/node/admit", 4},
	{"internal/node/diskroom", 4},
	{"internal/node/hook", 4},
	{"internal/node/imagepull", 4},
	{"internal/node/inventory", 4},
	{"internal/node/lifecycle", 4},
	{"internal/node/podapi", 4},
	{"internal/node/podworker", 4},
	{"internal/node/probe", 4},
	{"internal/node/process", 4},
	{"internal/node/registration", 4},
	{"internal/node/runspec", 4},
	{"internal/node/status", 4},
	{"internal/node/statuswriter", 4},
	{"internal/registry", 4},
	{"internal/registry/systemobjects", 4},
	{"internal/tokens", 4},

	{"internal/app/agent", 5},
	{"internal/app/config", 5},
	{"internal/app/down", 5},
	{"internal/app/identity", 5},
	{"internal/app/server", 5},
	{"internal/app/up", 5},
	{"internal/status", 5},

	{"cmd", 7},
	{"internal/arch", 6},
	{"internal/cli", 6},
	{"internal/registry/core/podspec/podspectest", 6},
	{"internal/runtime/runtimetest", 6},
	{"internal/volumes/fakeapi", 6},
	{"laternatest", 6},
	{"test", 6},
}

// sameLevel lists the imports between trees of one level that are meant.
var sameLevel = map[[2]string]string{
	{"internal/admission", "internal/authz"}:               "one answer to who is a node",
	{"internal/admission", "internal/registry/scheduling"}: "one list of the priority classes of the system",
	{"internal/apiserver", "internal/etcd"}:                "the server opens its store",

	{"internal/app/agent", "internal/app/config"}:    "it is built as it is configured",
	{"internal/app/down", "internal/app/up"}:         "it waits for an orderly stop",
	{"internal/app/identity", "internal/app/config"}: "names are configured",
	{"internal/app/server", "internal/app/config"}:   "it is built as it is configured",
	{"internal/app/server", "internal/app/identity"}: "it serves as whom the system is",
	{"internal/app/up", "internal/app/agent"}:        "it builds part after part",
	{"internal/app/up", "internal/app/config"}:       "it runs what is configured",
	{"internal/app/up", "internal/app/identity"}:     "it builds part after part",
	{"internal/app/up", "internal/app/server"}:       "it builds part after part",
	{"internal/controller", "internal/ownapi"}:       "controllers have clients of kinds of ours",

	{"boundtoken/jwks", "boundtoken"}: "a key set is of keys",

	{"internal/node", "internal/node/diskroom"}:               "it has room made on a full disk",
	{"internal/node/diskroom", "internal/node/admit"}:         "critical pods are spared",
	{"internal/node/diskroom", "internal/node/podworker"}:     "it asks workers what runs, and has them evict",
	{"internal/node/diskroom", "internal/node/lifecycle"}:     "ended pods go first",
	{"internal/node/diskroom", "internal/node/runspec"}:       "it measures their logs",
	{"internal/node", "internal/node/admit"}:                  "it asks whether it takes a pod",
	{"internal/node/admit", "internal/node/lifecycle"}:        "pods that have ended take no room",
	{"internal/node/admit", "internal/node/status"}:           "it refuses pods in the words of a status",
	{"internal/node", "internal/node/imagepull"}:              "it pulls what workers ask for",
	{"internal/node", "internal/node/inventory"}:              "the agent follows what is on the runtime",
	{"internal/node", "internal/node/lifecycle"}:              "it asks what a pod's containers are, and how long they may take to end",
	{"internal/node", "internal/node/podapi"}:                 "it is what the endpoint serves",
	{"internal/node", "internal/node/podworker"}:              "it runs a worker for each pod",
	{"internal/node", "internal/node/process"}:                "updates ask it for signals and commands",
	{"internal/node", "internal/node/registration"}:           "it keeps its node registered",
	{"internal/node", "internal/node/runspec"}:                "it finds logs by the names that containers are given",
	{"internal/node", "internal/node/status"}:                 "it refuses pods in the words of a status",
	{"internal/node", "internal/node/hook"}:                   "hooks are run for all of its pods",
	{"internal/node", "internal/node/probe"}:                  "one prober is for all of its pods",
	{"internal/node/hook", "internal/node/probe"}:             "hooks and probes ask in the same ways",
	{"internal/node/podworker", "internal/node/hook"}:         "it says when a hook is run",
	{"internal/node/podworker", "internal/node/probe"}:        "it says what is probed",
	{"internal/node/inventory", "internal/node/runspec"}:      "labels tell whose a container is",
	{"internal/node/podworker", "internal/node/lifecycle"}:    "a worker does what is decided there",
	{"internal/node/podworker", "internal/node/runspec"}:      "it asks the runtime for what a spec says",
	{"internal/node/podworker", "internal/node/status"}:       "it reports",
	{"internal/node/podworker", "internal/node/statuswriter"}: "it has its reports written",
	{"internal/node/statuswriter", "internal/node/status"}:    "conditions that others own are kept",
	{"internal/node/runspec", "internal/node/hook"}:           "a container is marked with its preStop hook",
	{"internal/node/runspec", "internal/node/lifecycle"}:      "roles decide what a pod is given, and a container is marked for later decisions",
	{"internal/node/runspec", "internal/node/status"}:         "the class of a pod decides what its memory is worth",
	{"internal/node/status", "internal/node/lifecycle"}:       "roles decide what is told of a container",
	{"internal/apiserver", "internal/registry"}:               "the server serves the kinds of the table",
	{"internal/apiserver", "internal/tokens"}:                 "the server issues and checks tokens",
	{"internal/apiserver", "internal/registry/systemobjects"}: "the server keeps the objects of the system",

	{"internal/registry/authentication", "internal/registry/resource"}:      "kinds are made of it",
	{"internal/registry/authorization", "internal/registry/resource"}:       "kinds are made of it",
	{"internal/registry/config", "internal/registry/resource"}:              "kinds are made of it",
	{"internal/registry/coordination", "internal/registry/resource"}:        "kinds are made of it",
	{"internal/registry/core/configmap", "internal/registry/resource"}:      "kinds are made of it",
	{"internal/registry/core/endpoints", "internal/registry/resource"}:      "kinds are made of it",
	{"internal/registry/core/event", "internal/registry/resource"}:          "kinds are made of it",
	{"internal/registry/core/namespace", "internal/registry/resource"}:      "kinds are made of it",
	{"internal/registry/core/node", "internal/registry/resource"}:           "kinds are made of it",
	{"internal/registry/core/pod", "internal/registry/resource"}:            "kinds are made of it",
	{"internal/registry/core/secret", "internal/registry/resource"}:         "kinds are made of it",
	{"internal/registry/core/service", "internal/registry/resource"}:        "kinds are made of it",
	{"internal/registry/core/serviceaccount", "internal/registry/resource"}: "kinds are made of it",
	{"internal/registry/discovery", "internal/registry/resource"}:           "kinds are made of it",
	{"internal/registry/identity", "internal/registry/resource"}:            "kinds are made of it",
	{"internal/registry/node", "internal/registry/resource"}:                "kinds are made of it",
	{"internal/registry/operator", "internal/registry/resource"}:            "kinds are made of it",
	{"internal/registry/projection", "internal/registry/resource"}:          "kinds are made of it",
	{"internal/registry/rbac", "internal/registry/resource"}:                "kinds are made of it",
	{"internal/registry/scheduling", "internal/registry/resource"}:          "kinds are made of it",
	{"internal/registry/storage", "internal/registry/resource"}:             "kinds are made of it",

	{"internal/registry/discovery", "internal/registry/core/endpoints"}:    "slices and endpoints take the same addresses",
	{"internal/registry/node", "internal/registry/core/podspec/resources"}: "the overhead of a class is that of its pods",

	{"internal/registry/core/pod", "internal/registry/core/podspec"}:                          "a pod has a spec",
	{"internal/registry/core/pod", "internal/registry/core/podspec/containers"}:               "the status of a pod depends on what its containers are",
	{"internal/registry/core/podspec/security", "internal/podfields"}:                         "an operating system rules out fields of every container",
	{"internal/registry/core/podspec", "internal/registry/core/podspec/containers"}:           "a spec is checked part by part",
	{"internal/registry/core/podspec", "internal/registry/core/podspec/resources"}:            "a spec is checked part by part",
	{"internal/registry/core/podspec/containers", "internal/registry/core/podspec/resources"}: "containers have requests and limits",

	{"internal/runtime/images", "internal/runtime/containerd"}:  "images go into the containerd that is managed",
	{"internal/runtime/images", "internal/runtime/cri"}:         "an image that is imported is known to the CRI",
	{"internal/runtime/images", "internal/runtime/pause"}:       "the sandbox image is one of them",
	{"internal/runtime/managed", "internal/runtime/containerd"}: "it brings the daemon up",
	{"internal/runtime/managed", "internal/runtime/images"}:     "a runtime that is ready has its images",
	{"internal/runtime/managed", "internal/runtime/pause"}:      "the daemon is told the sandbox image",

	{"internal/tokens/uses", "internal/tokens/review"}: "it writes down what a check notices",

	{"internal/volumes/publish", "internal/volumes/objects"}:           "volumes show objects",
	{"internal/volumes/publish", "internal/volumes/tokencache"}:        "volumes show tokens",
	{"internal/volumes/issuerrevision", "internal/volumes/tokencache"}: "a revision is reached when all tokens are of it",
	{"internal/volumes/place", "internal/volumes/objects"}:             "it hands the objects on to publish",
	{"internal/volumes/place", "internal/volumes/tokencache"}:          "it hands the tokens on to publish",
	{"internal/volumes/place", "internal/volumes/publish"}:             "places are where it publishes",
	{"internal/volumes/freshpath", "internal/volumes/place"}:           "subPaths follow what a volume shows",
	{"internal/volumes/onupdate", "internal/volumes/publish"}:          "checks stand before a publication, actions behind it",
	{"internal/volumes/podprojection", "internal/volumes/publish"}:     "it reports what volumes show",
}

// apart lists trees, and what nothing in them may import whatever the levels say.
var apart = []struct{ tree, never, why string }{
	{"internal/volumes", "internal/runtime", "volumes are projected for plain processes, too"},
	{"internal/volumes", "internal/host/cgroups", "volumes are projected for plain processes, too"},
	{"internal/volumes/publish", "internal/host", "content is published without root, wherever one may write"},
	{"internal/volumes/publish", "internal/volumes/place", "content is published without mounts"},
}

// beside lists trees of one row whose packages are parts beside each other: a part imports
// of its tree what is shared and no other part; together may import all.
var beside = []struct {
	tree, together string
	shared         []string
}{
	{"internal/admission", "internal/admission", nil},
	{"internal/authz", "internal/authz", []string{"internal/authz/rbac"}},
	{"internal/controller", "internal/controller/manager", []string{
		"internal/controller/env", "internal/controller/queue", "internal/controller/run", "internal/controller/systemnamespaces",
	}},
}

// testOnly are packages of ours that only tests import; the rules for programs do
// not hold in them.
var testOnly = []string{"internal/volumes/fakeapi", "internal/registry/core/podspec/podspectest", "internal/runtime/runtimetest", "laternatest", "test"}

// owner says that an import path, with everything under it, belongs to some trees
// only.
type owner struct {
	path  string
	trees []string
}

// owners are the single owners of the big libraries.
var owners = []owner{
	{"k8s.io/apiserver", []string{"internal/apiserver", "internal/registry", "internal/admission", "internal/authz", "internal/tokens", "internal/encryption", "internal/etcd"}},
	{"go.etcd.io/etcd/server", []string{"internal/etcd"}},
	{"k8s.io/cri-api", []string{"internal/runtime/cri"}},
	{"k8s.io/cri-client", []string{"internal/runtime/cri"}},
	{"github.com/go-jose", []string{"boundtoken", "internal/tokens/keys"}},
	{"github.com/spf13/cobra", []string{"internal/cli"}},
	{"k8s.io/klog", []string{"internal/log"}},
	{"k8s.io/kubernetes", nil},
	{"k8s.io/pod-security-admission", []string{"internal/admission/podsecurity"}},
	{"k8s.io/kubectl", []string{"cmd/kubectl"}},
}

// pure lists the trees at level 2 and below that may use, of the Kubernetes
// modules, only types and small utilities.
var pureMay = []string{"k8s.io/api", "k8s.io/apimachinery", "k8s.io/utils", "k8s.io/component-base/metrics", "k8s.io/klog"}
