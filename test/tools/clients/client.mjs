// Does in a namespace what the catalogue's row B8 says, with @kubernetes/client-node.
import { CoreV1Api, KubeConfig, PatchStrategy, Watch, setHeaderOptions } from "@kubernetes/client-node";

const name = "programmatically-created-pod";
const namespace = process.argv[2];

// By the kubeconfig, and in a pod by what is mounted there.
const config = new KubeConfig();
config.loadFromDefault();
const api = config.makeApiClient(CoreV1Api);
console.log("listed", (await api.listNamespacedPod({ namespace: "default" })).items.length);

const created = await api.createNamespacedPod({
  namespace,
  body: {
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "main", image: "busybox", command: ["sleep", "99999"] }],
    },
  },
});
console.log("created", created.metadata.name);

const steps = new Set();
async function saw(type, pod) {
  if (type === "DELETED") {
    console.log("deleted", name);
    return true;
  }
  if (pod.metadata.labels?.foo === "bar") {
    if (!steps.has("labelled")) {
      steps.add("labelled");
      console.log("labelled foo=bar");
      await api.deleteNamespacedPod({ name, namespace });
    }
  } else if (pod.status.phase === "Running" && !steps.has("running")) {
    steps.add("running");
    console.log("running", pod.status.podIP);
    await api.patchNamespacedPod(
      { name, namespace, body: { metadata: { labels: { foo: "bar" } } } },
      setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
    );
  }
  return false;
}

await new Promise((resolve, reject) => {
  let request;
  new Watch(config)
    .watch(
      `/api/v1/namespaces/${namespace}/pods`,
      { fieldSelector: `metadata.name=${name}`, resourceVersion: created.metadata.resourceVersion, timeoutSeconds: 50 },
      (type, pod) =>
        saw(type, pod).then((over) => {
          if (over) {
            request.abort();
            resolve();
          }
        }, reject),
      (problem) => (problem && problem.name !== "AbortError" ? reject(problem) : resolve()),
    )
    .then((r) => (request = r), reject);
});
