// A client that is generated from the API's description: what it may say and what it gets is
// checked by the compiler against ./api, which openapi-typescript makes of the document of
// /openapi/v3/api/v1.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { argv: string[] };
const [address, token, namespace] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl: address, headers: { Authorization: `Bearer ${token}` } });
const name = "made-by-a-generated-client";

type ConfigMap = components["schemas"]["io.k8s.api.core.v1.ConfigMap"];

// is fails where a value is another than what is wanted.
function is<T>(what: string, got: T, want: T) {
  if (got !== want) {
    throw new Error(`${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
  }
  console.log(what, JSON.stringify(got));
}

const object: ConfigMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { key: "value" } };
const created = await api.POST("/api/v1/namespaces/{namespace}/configmaps", {
  params: { path: { namespace }, query: { fieldValidation: "Strict" } },
  body: object,
});
is("created", created.response.status, 201);
is("data", created.data?.data?.key, "value");

const at = { params: { path: { namespace, name } } };
const patched = await api.PATCH("/api/v1/namespaces/{namespace}/configmaps/{name}", {
  ...at,
  headers: { "Content-Type": "application/merge-patch+json" },
  body: { metadata: { labels: { foo: "bar" } }, data: { key: "patched" } },
});
is("patched", patched.data?.data?.key, "patched");

const list = await api.GET("/api/v1/namespaces/{namespace}/configmaps", { params: { path: { namespace }, query: { labelSelector: "foo=bar" } } });
is("listed", list.data?.items.map((o) => o.metadata?.name).join(), name);

const deleted = await api.DELETE("/api/v1/namespaces/{namespace}/configmaps/{name}", at);
is("deleted", deleted.data?.status, "Success");

const gone = await api.GET("/api/v1/namespaces/{namespace}/configmaps/{name}", at);
is("afterwards", gone.response.status, 404);
