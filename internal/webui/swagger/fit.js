// Makes an OpenAPI document of the API fit to be tried out from a form. The document itself
// says what it says at Kubernetes, and programs that read it rely on that.

const json = "application/json";

// What each kind of patch looks like, the plainest first.
const patches = Object.assign(Object.create(null), {
  "application/merge-patch+json": { metadata: { labels: { example: "true" } } },
  "application/strategic-merge-patch+json": { metadata: { labels: { example: "true" } } },
  "application/json-patch+json": [{ op: "add", path: "/metadata/annotations", value: { example: "true" } }],
  "application/apply-patch+yaml": null,
});

// A browser cannot show these.
const binary = /protobuf|cbor/;

export function fit(doc) {
  doc.security ??= Object.keys(doc.components?.securitySchemes ?? {}).map((name) => ({ [name]: [] }));
  for (const [path, item] of Object.entries(doc.paths ?? {})) {
    const tags = [resource(path)];
    const { parameters = [], ...operations } = item;
    for (const [verb, operation] of Object.entries(operations)) {
      if (operation?.responses) {
        operation.tags = tags;
        operation.summary ??= operation.description;
        delete operation.description;
        // What a path needs comes before what may be asked besides.
        operation.parameters = [...parameters.map(filled), ...(operation.parameters ?? [])].sort((a, b) => rank(a) - rank(b));
        request(doc, verb, operation);
        responses(operation);
      }
    }
    delete item.parameters;
  }
  return doc;
}

// The operations of a group stand under the resources that they are on, and those that are
// deprecated together at the end.
function resource(path) {
  const [, watch, below] = /^\/api(?:s\/[^/]+)?\/[^/]+\/(watch\/)?(?:namespaces\/\{namespace\}\/)?([^/]*)/.exec(path) ?? [];
  return watch ? deprecated : below || "the group";
}

export const deprecated = "watch (deprecated)";

const rank = (parameter) => ["namespace", "name", "path"].indexOf(parameter.in === "path" ? parameter.name : "") >>> 0;

const filled = (parameter) => (parameter.name === "namespace" ? { ...parameter, example: "default" } : parameter);

// Bodies are described as */*, and the server would refuse what names itself so. Samples
// made from the models would set every field there is, which is never what one wants.
function request(doc, verb, operation) {
  const content = operation.requestBody?.content;
  if (!content) {
    return;
  }
  const kind = operation["x-kubernetes-group-version-kind"];
  if (content["*/*"]) {
    const body = { [json]: { ...content["*/*"], example: sample(doc, verb, kind, content["*/*"].schema) } };
    operation.requestBody.content = body;
    return;
  }
  const sorted = {};
  for (const type of Object.keys(patches).filter((t) => content[t])) {
    sorted[type] = { ...content[type], example: patches[type] ?? yaml(kind) };
  }
  for (const type of Object.keys(content).filter((t) => !(t in patches) && !binary.test(t))) {
    sorted[type] = content[type];
  }
  operation.requestBody.content = sorted;
}

function sample(doc, verb, kind, schema) {
  if (verb === "delete") {
    return {};
  }
  const model = doc.components?.schemas?.[schema?.$ref?.split("/").pop()];
  // The kind of an operation on a subresource is not always that of its body.
  const of = model?.["x-kubernetes-group-version-kind"]?.[0] ?? kind;
  if (!of) {
    return {};
  }
  const body = { apiVersion: version(of), kind: of.kind };
  if (model?.properties?.metadata) {
    body.metadata = { name: "example" };
  }
  for (const field of ["spec", "data"]) {
    if (model?.properties?.[field]) {
      body[field] = {};
    }
  }
  return body;
}

const yaml = (kind) => (kind ? `apiVersion: ${version(kind)}\nkind: ${kind.kind}\nmetadata:\n  labels:\n    example: "true"\n` : "");

const version = ({ group, version }) => (group ? `${group}/${version}` : version);

function responses(operation) {
  for (const answer of Object.values(operation.responses)) {
    for (const type of Object.keys(answer.content ?? {})) {
      if (binary.test(type)) {
        delete answer.content[type];
      }
    }
  }
}
