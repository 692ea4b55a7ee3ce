package service

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// claimPorts takes the node ports that svc names or wants, all or none.
func (s *Storage) claimPorts(ctx context.Context, svc *corev1.Service, held []int, dry bool) ([]int, error) {
	if !takesPorts(svc) && !needsHealthCheck(svc) {
		return nil, nil
	}
	// The store may ask several times; svc is changed only by the last answer.
	var work *portWork
	err := s.ports.try(ctx, dry, func(bits bitmap) error {
		work = &portWork{Storage: s, svc: svc.DeepCopy(), held: held, bits: bits}
		return work.run()
	})
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &status):
		return nil, err
	case err != nil:
		return nil, apierrors.NewInternalError(fmt.Errorf("failed to allocate a nodePort: %w", err))
	}
	svc.Spec.Ports = work.svc.Spec.Ports
	svc.Spec.HealthCheckNodePort = work.svc.Spec.HealthCheckNodePort
	return claimed(dry, work.taken...), nil
}

// portWork gives node ports to one service.
type portWork struct {
	*Storage
	svc   *corev1.Service
	held  []int
	bits  bitmap
	taken []int
}

func (w *portWork) run() error {
	ports := w.svc.Spec.Ports
	for i, port := range ports {
		if takesPorts(w.svc) && port.NodePort != 0 {
			if err := w.name(int(port.NodePort), field.NewPath("spec", "ports").Index(i).Child("nodePort")); err != nil {
				return err
			}
		}
	}
	if n := w.svc.Spec.HealthCheckNodePort; needsHealthCheck(w.svc) && n != 0 {
		if err := w.name(int(n), field.NewPath("spec", "healthCheckNodePort")); err != nil {
			return err
		}
	}
	for i := range ports {
		if !wantsPorts(w.svc) || ports[i].NodePort != 0 {
			continue
		}
		if twin := sibling(ports, i); twin != 0 {
			ports[i].NodePort = twin
			continue
		}
		n, err := w.any()
		if err != nil {
			return err
		}
		ports[i].NodePort = n
	}
	if needsHealthCheck(w.svc) && w.svc.Spec.HealthCheckNodePort == 0 {
		n, err := w.any()
		if err != nil {
			return err
		}
		w.svc.Spec.HealthCheckNodePort = n
	}
	return nil
}

// sibling returns the node port of the same port over another protocol: the two
// share it.
func sibling(ports []corev1.ServicePort, i int) int32 {
	for _, other := range ports {
		if other.Port == ports[i].Port && other.Protocol != ports[i].Protocol && other.NodePort != 0 {
			return other.NodePort
		}
	}
	return 0
}

// name takes the port that the service names.
func (w *portWork) name(port int, at *field.Path) error {
	n := port - w.nodePorts.First
	if n < 0 || n >= w.ports.size {
		msg := fmt.Sprintf("provided port is not in the valid range. The range of valid ports is %s", w.nodePorts)
		return refused(w.svc, field.ErrorList{field.Invalid(at, port, msg)})
	}
	if slices.Contains(w.held, n) || slices.Contains(w.taken, n) {
		return nil
	}
	if err := take(w.bits, n, "provided port is already allocated"); err != nil {
		return refused(w.svc, field.ErrorList{field.Invalid(at, port, err.Error())})
	}
	w.taken = append(w.taken, n)
	return nil
}

// any takes a free port.
func (w *portWork) any() (int32, error) {
	n, err := w.ports.pick(w.bits)
	if err != nil {
		return 0, err
	}
	w.taken = append(w.taken, n)
	return int32(n + w.nodePorts.First), nil
}
