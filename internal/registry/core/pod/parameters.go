package pod

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
)

// RegisterParameters makes the scheme read the query parameters of pods/log,
// pods/exec, pods/attach and pods/portforward.
func RegisterParameters(s *runtime.Scheme) error {
	if err := register(s, readLogOptions); err != nil {
		return err
	}
	if err := register(s, readExecOptions); err != nil {
		return err
	}
	if err := register(s, readPortForwardOptions); err != nil {
		return err
	}
	return register(s, readAttachOptions)
}

func register[T any](s *runtime.Scheme, read func(url.Values, *T) error) error {
	return s.AddConversionFunc((*url.Values)(nil), (*T)(nil), func(from, to any, _ conversion.Scope) error {
		return read(*from.(*url.Values), to.(*T))
	})
}

// parameter reads one query parameter with a function of the library.
type parameter struct {
	name string
	read func(values []string) error
}

func as[T any](out *T, convert func(*[]string, *T, conversion.Scope) error) func([]string) error {
	return func(values []string) error { return convert(&values, out, nil) }
}

func readAll(query url.Values, parameters []parameter) error {
	for _, p := range parameters {
		if values := query[p.name]; len(values) > 0 {
			if err := p.read(values); err != nil {
				return fmt.Errorf("%s: %v", p.name, err)
			}
		}
	}
	return nil
}

func readLogOptions(query url.Values, o *corev1.PodLogOptions) error {
	return readAll(query, []parameter{
		{"container", as(&o.Container, runtime.Convert_Slice_string_To_string)},
		{"follow", as(&o.Follow, runtime.Convert_Slice_string_To_bool)},
		{"previous", as(&o.Previous, runtime.Convert_Slice_string_To_bool)},
		{"sinceSeconds", as(&o.SinceSeconds, runtime.Convert_Slice_string_To_Pointer_int64)},
		{"sinceTime", as(&o.SinceTime, metav1.Convert_Slice_string_To_Pointer_v1_Time)},
		{"timestamps", as(&o.Timestamps, runtime.Convert_Slice_string_To_bool)},
		{"tailLines", as(&o.TailLines, runtime.Convert_Slice_string_To_Pointer_int64)},
		{"limitBytes", as(&o.LimitBytes, runtime.Convert_Slice_string_To_Pointer_int64)},
		{"insecureSkipTLSVerifyBackend", as(&o.InsecureSkipTLSVerifyBackend, runtime.Convert_Slice_string_To_bool)},
		{"stream", func(values []string) error { o.Stream = &values[0]; return nil }},
	})
}

func readExecOptions(query url.Values, o *corev1.PodExecOptions) error {
	o.Command = append([]string(nil), query["command"]...)
	return readAll(query, streamParameters(&o.Stdin, &o.Stdout, &o.Stderr, &o.TTY, &o.Container))
}

func readAttachOptions(query url.Values, o *corev1.PodAttachOptions) error {
	return readAll(query, streamParameters(&o.Stdin, &o.Stdout, &o.Stderr, &o.TTY, &o.Container))
}

// readPortForwardOptions reads the numbers of ports, parted by commas.
func readPortForwardOptions(query url.Values, o *corev1.PodPortForwardOptions) error {
	for _, value := range query["ports"] {
		for text := range strings.SplitSeq(value, ",") {
			port, err := strconv.ParseInt(text, 10, 32)
			if err != nil || len(o.Ports) > maxForwardPorts {
				return fmt.Errorf("ports: must be at most %d numbers, separated by commas", maxForwardPorts)
			}
			o.Ports = append(o.Ports, int32(port))
		}
	}
	return nil
}

func streamParameters(stdin, stdout, stderr, tty *bool, container *string) []parameter {
	return []parameter{
		{"stdin", as(stdin, runtime.Convert_Slice_string_To_bool)},
		{"stdout", as(stdout, runtime.Convert_Slice_string_To_bool)},
		{"stderr", as(stderr, runtime.Convert_Slice_string_To_bool)},
		{"tty", as(tty, runtime.Convert_Slice_string_To_bool)},
		{"container", as(container, runtime.Convert_Slice_string_To_string)},
	}
}
