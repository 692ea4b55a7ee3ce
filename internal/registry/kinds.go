// Package registry is the table of the kinds that the server serves. A kind stands in
// it once: how it is stored and shown, what the default roles and nodes may do with it,
// whether it holds secrets.
//
// To add a kind, describe it in a package of its own (internal/registry/<group>/<resource>,
// a resource.Definition) and write its row here; where its group is new, run go generate
// in internal/generated/openapi. Everything else (scheme, discovery, OpenAPI, tables,
// roles, deletion with its namespace) follows.
//
// What a kind means lives in its package, what kinds share in resource, the scheme in
// scheme, serving in internal/apiserver. A kind that nodes write has rules in
// internal/authz/node and internal/admission/noderestriction besides.
package registry

import (
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	storagemigrationv1 "k8s.io/api/storagemigration/v1"

	configv1 "laterna.dev/laterna/api/config/v1"
	iamv1alpha1 "laterna.dev/laterna/api/iam/v1alpha1"
	identityv1alpha1 "laterna.dev/laterna/api/identity/v1alpha1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	projectionv1alpha1 "laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/registry/admissionregistration/admissionpolicy"
	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
	"laterna.dev/laterna/internal/registry/admissionregistration/webhookconfiguration"
	"laterna.dev/laterna/internal/registry/apiextensions"
	"laterna.dev/laterna/internal/registry/apiregistration/apiservice"
	"laterna.dev/laterna/internal/registry/apps/controllerrevision"
	"laterna.dev/laterna/internal/registry/apps/daemonset"
	"laterna.dev/laterna/internal/registry/apps/deployment"
	"laterna.dev/laterna/internal/registry/apps/replicaset"
	"laterna.dev/laterna/internal/registry/apps/statefulset"
	"laterna.dev/laterna/internal/registry/autoscaling/horizontalpodautoscaler"
	"laterna.dev/laterna/internal/registry/batch/cronjob"
	"laterna.dev/laterna/internal/registry/batch/job"
	"laterna.dev/laterna/internal/registry/coordination/lease"
	"laterna.dev/laterna/internal/registry/core/configmap"
	"laterna.dev/laterna/internal/registry/core/endpoints"
	"laterna.dev/laterna/internal/registry/core/event"
	"laterna.dev/laterna/internal/registry/core/limits"
	"laterna.dev/laterna/internal/registry/core/persistentvolumeclaim"
	"laterna.dev/laterna/internal/registry/core/podtemplate"
	"laterna.dev/laterna/internal/registry/core/replicationcontroller"
	"laterna.dev/laterna/internal/registry/core/secret"
	"laterna.dev/laterna/internal/registry/core/serviceaccount"
	"laterna.dev/laterna/internal/registry/devices"
	"laterna.dev/laterna/internal/registry/discovery/endpointslice"
	"laterna.dev/laterna/internal/registry/flowcontrol/flowschema"
	"laterna.dev/laterna/internal/registry/flowcontrol/prioritylevelconfiguration"
	iampolicy "laterna.dev/laterna/internal/registry/iam/policy"
	"laterna.dev/laterna/internal/registry/networking/ingress"
	"laterna.dev/laterna/internal/registry/networking/ingressclass"
	"laterna.dev/laterna/internal/registry/networking/ipaddress"
	"laterna.dev/laterna/internal/registry/networking/networkpolicy"
	"laterna.dev/laterna/internal/registry/networking/servicecidr"
	"laterna.dev/laterna/internal/registry/node/runtimeclass"
	"laterna.dev/laterna/internal/registry/operator/kubeapiserver"
	"laterna.dev/laterna/internal/registry/policy/poddisruptionbudget"
	"laterna.dev/laterna/internal/registry/rbac"
	"laterna.dev/laterna/internal/registry/scheduling/priorityclass"
	"laterna.dev/laterna/internal/registry/storage/csidriver"
	"laterna.dev/laterna/internal/registry/storage/csinode"
	"laterna.dev/laterna/internal/registry/storage/csistoragecapacity"
	"laterna.dev/laterna/internal/registry/storage/storageclass"
	"laterna.dev/laterna/internal/registry/storage/volumeattachment"
	"laterna.dev/laterna/internal/registry/storage/volumeattributesclass"
	"laterna.dev/laterna/internal/registry/storagemigration/storageversionmigration"
)

// read is what Roles that only look may do.
const read = "get list watch"

// Kinds returns the table.
func Kinds() Table { return slices.Concat(core(), groups(), onlyStored(), ours()) }

// core are the kinds of the group that has no name.
func core() Table {
	return Table{
		{corev1.SchemeGroupVersion, corev1.AddToScheme, []Kind{
			{Serve: Stored(configmap.Definition()), Node: node.Referenced},
			{Serve: Stored(endpoints.Definition())},
			// Events are written more often than read and lie for an hour: decoded, in a cache,
			// they would be the most of the memory of a system where much happens.
			{Serve: Stored(event.Definition()), Seldom: true},
			{Serve: Stored(limits.LimitRange()), Seldom: true},
			{Serve: namespaces()},
			{Serve: nodes(), Node: node.Itself},
			{Serve: persistentVolumes(), Node: node.Bound, Seldom: true},
			{Serve: Stored(persistentvolumeclaim.Definition()), Node: node.Referenced},
			{Serve: pods(), Node: node.OwnPods},
			{Serve: Stored(podtemplate.Definition())},
			{Serve: Stored(replicationcontroller.Definition())},
			{Serve: Stored(limits.ResourceQuota()), Seldom: true},
			{Serve: Stored(secret.Definition()), Node: node.Referenced, Confidential: true},
			{Serve: services()},
			{Serve: Stored(serviceaccount.Definition()), Node: node.Accounts},
			{Serve: tokenRequests(), Confidential: true, Unowned: true},
		}},
	}
}

// groups are those of Kubernetes' other groups.
func groups() Table {
	conditions := matching.NewConditions()
	return Table{
		{admissionregistrationv1.SchemeGroupVersion, admissionregistrationv1.AddToScheme, []Kind{
			{Serve: policies("mutatingadmissionpolicies", conditions, admissionpolicy.Mutating), Seldom: true},
			{Serve: policies("mutatingadmissionpolicies", conditions, admissionpolicy.MutatingBinding), Seldom: true},
			{Serve: policies("validatingadmissionpolicies", conditions, admissionpolicy.Validating), Seldom: true},
			{Serve: policies("validatingadmissionpolicies", conditions, admissionpolicy.ValidatingBinding), Seldom: true},
			{Serve: Stored(webhookconfiguration.Mutating(conditions))},
			{Serve: Stored(webhookconfiguration.Validating(conditions))},
		}},
		{apiextensions.Version, apiextensions.AddToScheme, []Kind{
			{Serve: customResourceDefinitions()},
		}},
		{apiservice.Version, apiservice.AddToScheme, []Kind{
			{Serve: apiServices()},
		}},
		{appsv1.SchemeGroupVersion, appsv1.AddToScheme, []Kind{
			{Serve: Stored(controllerrevision.Definition())},
			{Serve: Stored(daemonset.Definition())},
			{Serve: Stored(deployment.Definition())},
			{Serve: Stored(replicaset.Definition())},
			{Serve: Stored(statefulset.Definition())},
		}},
		{authenticationv1.SchemeGroupVersion, authenticationv1.AddToScheme, []Kind{
			{Serve: tokenReviews(), Confidential: true, Unowned: true},
			{Serve: selfSubjectReviews(), Unowned: true},
		}},
		{authorizationv1.SchemeGroupVersion, authorizationv1.AddToScheme, []Kind{
			{Serve: subjectAccessReviews(), Unowned: true},
			{Serve: selfSubjectAccessReviews(), Unowned: true},
			{Serve: localSubjectAccessReviews(), Unowned: true},
			{Serve: selfSubjectRulesReviews(), Unowned: true},
		}},
		{batchv1.SchemeGroupVersion, batchv1.AddToScheme, []Kind{
			{Serve: Stored(cronjob.Definition())},
			{Serve: Stored(job.Definition())},
		}},
		{coordinationv1.SchemeGroupVersion, coordinationv1.AddToScheme, []Kind{
			{Serve: Stored(lease.Definition()), Node: node.OwnLease},
		}},
		{discoveryv1.SchemeGroupVersion, discoveryv1.AddToScheme, []Kind{
			{Serve: Stored(endpointslice.Definition())},
		}},
		{eventsv1.SchemeGroupVersion, eventsv1.AddToScheme, []Kind{
			{Serve: newerEvents()},
		}},
		{flowcontrolv1.SchemeGroupVersion, flowcontrolv1.AddToScheme, []Kind{
			{Serve: Stored(flowschema.Definition()), Seldom: true},
			{Serve: Stored(prioritylevelconfiguration.Definition()), Seldom: true},
		}},
		{networkingv1.SchemeGroupVersion, networkingv1.AddToScheme, []Kind{
			{Serve: Stored(ingress.Definition()), Seldom: true},
			{Serve: Stored(ingressclass.Definition()), Seldom: true},
			{Serve: Stored(ipaddress.Definition())},
			{Serve: Stored(networkpolicy.Definition()), Seldom: true},
			{Serve: Stored(servicecidr.Definition())},
		}},
		{nodev1.SchemeGroupVersion, nodev1.AddToScheme, []Kind{
			{Serve: Stored(runtimeclass.Definition())},
		}},
		{policyv1.SchemeGroupVersion, policyv1.AddToScheme, []Kind{ // Eviction is served by pods
			{Serve: Stored(poddisruptionbudget.Definition())},
		}},
		{rbacv1.SchemeGroupVersion, rbacv1.AddToScheme, []Kind{
			{Serve: guarded(rbac.Role())},
			{Serve: guarded(rbac.RoleBinding())},
			{Serve: guarded(rbac.ClusterRole())},
			{Serve: guarded(rbac.ClusterRoleBinding())},
		}},
		{schedulingv1.SchemeGroupVersion, schedulingv1.AddToScheme, []Kind{
			{Serve: Stored(priorityclass.Definition())},
		}},
	}
}

// onlyStored are groups whose kinds nothing here acts on: what is installed does.
func onlyStored() Table {
	return Table{
		{autoscalingv2.SchemeGroupVersion, autoscalingv2.AddToScheme, []Kind{
			{Serve: Stored(horizontalpodautoscaler.Definition()), Seldom: true},
		}},
		{autoscalingv1.SchemeGroupVersion, autoscalingv1.AddToScheme, []Kind{ // Scale is served by what has replicas
			{Serve: olderAutoscalers(), Seldom: true},
		}},
		{certificatesv1.SchemeGroupVersion, certificatesv1.AddToScheme, []Kind{
			{Serve: certificateSigningRequests(), Seldom: true}, // internal/controller/certificates answers them
			{Serve: clusterTrustBundles(), Seldom: true},
			{Serve: podCertificateRequests(), Seldom: true, Node: node.OwnRequests},
		}},
		{resourcev1.SchemeGroupVersion, resourcev1.AddToScheme, []Kind{
			{Serve: Stored(devices.Classes()), Seldom: true},
			{Serve: deviceTaintRules(), Seldom: true},
			{Serve: Stored(devices.Claims()), Node: node.Claimed, Seldom: true},
			{Serve: Stored(devices.Templates()), Seldom: true},
			{Serve: resourceSlices(), Node: node.OwnSlices, Seldom: true},
		}},
		{storagev1.SchemeGroupVersion, storagev1.AddToScheme, []Kind{
			{Serve: Stored(csidriver.Definition())},
			{Serve: Stored(csinode.Definition()), Node: node.OwnCSINode},
			{Serve: Stored(csistoragecapacity.Definition()), Seldom: true},
			{Serve: Stored(storageclass.Definition()), Seldom: true},
			{Serve: Stored(volumeattachment.Definition()), Node: node.OwnAttachments, Seldom: true},
			{Serve: Stored(volumeattributesclass.Definition()), Seldom: true},
		}},
		{storagemigrationv1.SchemeGroupVersion, storagemigrationv1.AddToScheme, []Kind{
			{Serve: Stored(storageversionmigration.Definition()), Seldom: true},
		}},
	}
}

// ours are those of this project, and of OpenShift.
func ours() Table {
	return Table{
		{projectionv1alpha1.SchemeGroupVersion, projectionv1alpha1.AddToScheme, []Kind{
			{Serve: podProjections(), Node: node.NamedAfterOwnPods,
				Roles: Roles{View: read, Edit: "delete deletecollection", Node: "get create update patch delete"}},
		}},
		{configv1.SchemeGroupVersion, configv1.AddToScheme, []Kind{
			{Serve: authentications()},
		}},
		{operatorv1.SchemeGroupVersion, operatorv1.AddToScheme, []Kind{
			{Serve: Stored(kubeapiserver.Definition()), Roles: Roles{Node: read}},
		}},
		{identityv1alpha1.SchemeGroupVersion, identityv1alpha1.AddToScheme, []Kind{
			{Serve: signingKeys(), Unowned: true},
		}},
		{iamv1alpha1.SchemeGroupVersion, iamv1alpha1.AddToScheme, []Kind{ // as with roles of RBAC, cluster administrators alone; there may be a hundred thousand
			{Serve: oidcProviders(), Seldom: true},
			{Serve: iamRoles(), Seldom: true},
			{Serve: Stored(iampolicy.Definition()), Seldom: true},
		}},
	}
}
