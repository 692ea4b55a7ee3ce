"""Does in a namespace what the catalogue's row B8 says, with Debian's python3-kubernetes."""
import sys

from kubernetes import client, config, watch

NAME = "programmatically-created-pod"
namespace = sys.argv[1]

# In a pod by what is mounted there, else by the kubeconfig.
config.load_config()
v1 = client.CoreV1Api()
print("listed", len(v1.list_namespaced_pod("default").items))

pod = client.V1Pod(
    metadata=client.V1ObjectMeta(name=NAME),
    spec=client.V1PodSpec(
        termination_grace_period_seconds=0,
        containers=[client.V1Container(name="main", image="busybox", command=["sleep", "99999"])],
    ),
)
created = v1.create_namespaced_pod(namespace, pod)
print("created", created.metadata.name)

steps = []
stream = watch.Watch()
for event in stream.stream(
    v1.list_namespaced_pod,
    namespace,
    field_selector="metadata.name=" + NAME,
    resource_version=created.metadata.resource_version,
    timeout_seconds=50,
):
    seen = event["object"]
    if event["type"] == "DELETED":
        print("deleted", NAME)
        break
    if seen.metadata.labels and seen.metadata.labels.get("foo") == "bar":
        if "labelled" not in steps:
            steps.append("labelled")
            print("labelled foo=bar")
            v1.delete_namespaced_pod(NAME, namespace)
    elif seen.status.phase == "Running" and "running" not in steps:
        steps.append("running")
        print("running", seen.status.pod_ip)
        v1.patch_namespaced_pod(NAME, namespace, {"metadata": {"labels": {"foo": "bar"}}})
