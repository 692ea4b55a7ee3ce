package containers_test

import (
	"testing"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestProbesAndHooks(t *testing.T) {
	const path = "spec.containers[0]."
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", podspectest.In("livenessProbe: {exec: {command: [x]}}\n  lifecycle: {postStart: {sleep: {seconds: 0}}}")),
		wrong("no handler", podspectest.In("livenessProbe: {}"), path+"livenessProbe: Required value: must specify a handler type"),
		wrong("two handlers", podspectest.In("readinessProbe: {exec: {command: [x]}, tcpSocket: {port: 1}}"), path+"readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"),
		wrong("exec without command", podspectest.In("startupProbe: {exec: {}}"), path+"startupProbe.exec.command: Required value"),
		wrong("http", podspectest.In("livenessProbe: {httpGet: {port: 0, scheme: FTP, httpHeaders: [{name: 'a b', value: x}]}}"),
			path+"livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
			path+`livenessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"`,
			path+`livenessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')`),
		wrong("numbers", podspectest.In("livenessProbe: {tcpSocket: {port: web}, initialDelaySeconds: -1, successThreshold: 2, terminationGracePeriodSeconds: 0}"),
			path+"livenessProbe.initialDelaySeconds: Invalid value: -1: must be greater than or equal to 0",
			path+"livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
			path+"livenessProbe.successThreshold: Invalid value: 2: must be 1"),
		wrong("grace of readiness", podspectest.In("readinessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 5}"),
			path+"readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes"),
		wrong("sleep", podspectest.In("lifecycle: {preStop: {sleep: {seconds: 31}}}"), path+"lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)"),
		wrong("hook without handler", podspectest.In("lifecycle: {preStop: {}}"), path+"lifecycle.preStop: Required value: must specify a handler type"),
		wrong("init container", podspectest.With("initContainers: [{name: i, image: i, lifecycle: {}, livenessProbe: {exec: {command: [x]}}}]"),
			"spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always",
			"spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"),
		wrong("sidecar", podspectest.With("initContainers: [{name: i, image: i, restartPolicy: Always, livenessProbe: {exec: {command: [x]}}}]")),
	)
}

func TestHandlers(t *testing.T) {
	const path = "spec.containers[0]."
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("all kinds", podspectest.In("livenessProbe: {grpc: {port: 1}}\n  readinessProbe: {tcpSocket: {port: web}}\n  startupProbe: {httpGet: {port: 65535, scheme: HTTPS, httpHeaders: [{name: Host, value: a}]}}\n  lifecycle: {postStart: {httpGet: {port: 1}}, preStop: {tcpSocket: {port: 1}}}")),
		wrong("ports", podspectest.In("livenessProbe: {grpc: {port: 0}}\n  readinessProbe: {tcpSocket: {port: A_}}\n  startupProbe: {httpGet: {port: 65536}}"),
			path+"livenessProbe.grpc.port: Invalid value: 0: must be between 1 and 65535, inclusive",
			path+`readinessProbe.tcpSocket.port: Invalid value: "A_": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)`,
			path+`readinessProbe.tcpSocket.port: Invalid value: "A_": must contain at least one letter (a-z)`,
			path+"startupProbe.httpGet.port: Invalid value: 65536: must be between 1 and 65535, inclusive"),
		wrong("numbers of readiness", podspectest.In("readinessProbe: {exec: {command: [x]}, successThreshold: 2, timeoutSeconds: -1, periodSeconds: -1, failureThreshold: -1}"),
			path+"readinessProbe.timeoutSeconds: Invalid value: -1: must be greater than or equal to 0",
			path+"readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
			path+"readinessProbe.failureThreshold: Invalid value: -1: must be greater than or equal to 0"),
		wrong("own grace", podspectest.In("livenessProbe: {exec: {command: [x]}, terminationGracePeriodSeconds: 1}\n  startupProbe: {exec: {command: [x]}, terminationGracePeriodSeconds: -1}"),
			path+"startupProbe.terminationGracePeriodSeconds: Invalid value: -1: must be greater than 0"),
		wrong("two hooks", podspectest.In("lifecycle: {preStop: {exec: {command: [x]}, sleep: {seconds: 1}}, postStart: {exec: {}}}"),
			path+"lifecycle.postStart.exec.command: Required value",
			path+"lifecycle.preStop.sleep: Forbidden: may not specify more than 1 handler type"),
		wrong("sleep as long as there is", podspectest.In("lifecycle: {preStop: {sleep: {seconds: 30}}}")),
		wrong("sleep backwards", podspectest.In("lifecycle: {preStop: {sleep: {seconds: -1}}}"),
			path+"lifecycle.preStop.sleep: Invalid value: -1: must be non-negative and less than terminationGracePeriodSeconds (30)"),
		wrong("signal of an unknown system", podspectest.In("lifecycle: {stopSignal: SIGTERM}"), path+"lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`"),
		wrong("signal", podspectest.In("lifecycle: {stopSignal: SIGTERM}")+"os: {name: linux}"),
		wrong("real-time signals", podspectest.In("lifecycle: {stopSignal: SIGRTMIN+15}")+"os: {name: linux}"),
		wrong("the last real-time signals", podspectest.In("lifecycle: {stopSignal: SIGRTMAX-14}")+"os: {name: linux}"),
		wrong("signal of Windows", podspectest.In("lifecycle: {stopSignal: SIGUSR1}")+"os: {name: windows}",
			path+`lifecycle.stopSignal: Unsupported value: "SIGUSR1": supported values: "SIGKILL", "SIGTERM"`),
	)
}
