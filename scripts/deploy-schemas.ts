/**
 * Kubernetes objects against the schemas of Kubernetes' own interface, as kubernetes-models carries them: compiled, one module a kind.
 * They let fields pass that they do not know, so what they read is watched as well: a field that nobody asks for is misspelt.
 */

import { validate as isDeployment } from "kubernetes-models/_schemas/IoK8sApiAppsV1Deployment";
import { validate as isStatefulSet } from "kubernetes-models/_schemas/IoK8sApiAppsV1StatefulSet";
import { validate as isCronJob } from "kubernetes-models/_schemas/IoK8sApiBatchV1CronJob";
import { validate as isConfigMap } from "kubernetes-models/_schemas/IoK8sApiCoreV1ConfigMap";
import { validate as isNamespace } from "kubernetes-models/_schemas/IoK8sApiCoreV1Namespace";
import { validate as isPersistentVolumeClaim } from "kubernetes-models/_schemas/IoK8sApiCoreV1PersistentVolumeClaim";
import { validate as isSecret } from "kubernetes-models/_schemas/IoK8sApiCoreV1Secret";
import { validate as isService } from "kubernetes-models/_schemas/IoK8sApiCoreV1Service";
import { validate as isServiceAccount } from "kubernetes-models/_schemas/IoK8sApiCoreV1ServiceAccount";
import { validate as isNetworkPolicy } from "kubernetes-models/_schemas/IoK8sApiNetworkingV1NetworkPolicy";
import { validate as isPodDisruptionBudget } from "kubernetes-models/_schemas/IoK8sApiPolicyV1PodDisruptionBudget";
import type { KubernetesObject } from "./deploy.ts";

type Validate = {
  (data: unknown): boolean;
  readonly errors?:
    | readonly { readonly instancePath: string; readonly keyword: string; readonly params: object }[]
    | null;
};

/** By apiVersion and kind. */
const schemas: Readonly<Record<string, Validate>> = {
  "apps/v1 Deployment": isDeployment,
  "apps/v1 StatefulSet": isStatefulSet,
  "batch/v1 CronJob": isCronJob,
  "networking.k8s.io/v1 NetworkPolicy": isNetworkPolicy,
  "policy/v1 PodDisruptionBudget": isPodDisruptionBudget,
  "v1 ConfigMap": isConfigMap,
  "v1 Namespace": isNamespace,
  "v1 PersistentVolumeClaim": isPersistentVolumeClaim,
  "v1 Secret": isSecret,
  "v1 Service": isService,
  "v1 ServiceAccount": isServiceAccount,
};

/** What is wrong with an object by Kubernetes' schema of its kind, in words; empty when nothing is. */
export function schemaProblems(object: KubernetesObject): string[] {
  const { apiVersion, kind, metadata } = object;
  const name = `${kind} ${metadata?.name}`;
  const schema = schemas[`${apiVersion} ${kind}`];
  if (schema === undefined) return [`${name}: there is no schema of ${apiVersion} ${kind}`];
  const { watched, unread } = watch(object);
  const wrong = schema(watched)
    ? []
    : (schema.errors ?? []).map(
        ({ instancePath, keyword, params }) => `${instancePath} breaks ${keyword} ${JSON.stringify(params)}`,
      );
  const unknown = unread().map((path) => `${path} is no field`);
  return [...wrong, ...unknown].map((problem) => `${name}: ${problem}`);
}

/** A view of a value that notes what is read of it. A reader that lists an object's keys takes it for a map and so knows all of them. */
function watch(root: object): { watched: object; unread: () => string[] } {
  const asked = new Map<object, Set<string>>();
  const proxies = new Map<object, object>();
  const view = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    const known = proxies.get(value);
    if (known !== undefined) return known;
    const names = new Set<string>();
    asked.set(value, names);
    const proxy = new Proxy(value, {
      get(target, name) {
        names.add(String(name));
        return view(Reflect.get(target, name));
      },
      ownKeys(target) {
        for (const name of Object.keys(target)) names.add(name);
        return Reflect.ownKeys(target);
      },
    });
    proxies.set(value, proxy);
    return proxy;
  };
  const unreadIn = (value: unknown, path: string): string[] =>
    typeof value !== "object" || value === null
      ? []
      : Object.entries(value).flatMap(([name, each]) =>
          Array.isArray(value) || asked.get(value)?.has(name) ? unreadIn(each, `${path}/${name}`) : [`${path}/${name}`],
        );
  return { watched: view(root) as object, unread: () => unreadIn(root, "") };
}
