import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Does in a namespace what the catalogue's row B8 says, by the requests that Java's clients send: the
 * official one watches by a long answer and labels by a JSON patch, fabric8's watches over a WebSocket
 * and labels by a merge patch. It knows what a pod is given: the files below DIRECTORY, or those that
 * are mounted, and the service's variables.
 */
public class Client {
  static final String NAME = "programmatically-created-pod";
  static final String OBJECT =
      "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"" + NAME + "\"},\"spec\":{\"terminationGracePeriodSeconds\":0,"
          + "\"containers\":[{\"name\":\"main\",\"image\":\"busybox\",\"command\":[\"sleep\",\"99999\"]}]}}";

  final HttpClient http;
  final String host;
  final String token;

  Client(Path files) throws Exception {
    host = System.getenv("KUBERNETES_SERVICE_HOST") + ":" + System.getenv("KUBERNETES_SERVICE_PORT");
    token = Files.readString(files.resolve("token")).strip();
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null);
    try (InputStream in = Files.newInputStream(files.resolve("ca.crt"))) {
      for (Certificate c : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
        trusted.setCertificateEntry("ca" + trusted.size(), c);
      }
    }
    TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(trusted);
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, factory.getTrustManagers(), null);
    http = HttpClient.newBuilder().sslContext(tls).build();
  }

  HttpRequest.Builder to(String path) {
    return HttpRequest.newBuilder(URI.create("https://" + host + path)).header("Authorization", "Bearer " + token).header("Accept", "application/json");
  }

  String ask(String method, String path, String type, String body, int want) throws Exception {
    HttpRequest.Builder r = to(path).method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
    if (body != null) {
      r.header("Content-Type", type);
    }
    HttpResponse<String> answer = http.send(r.build(), BodyHandlers.ofString());
    if (answer.statusCode() != want) {
      throw new IllegalStateException(method + " " + path + ": " + answer.statusCode() + " " + answer.body());
    }
    return answer.body();
  }

  /** The first string of a name in an object that has it only once, or where the first counts. */
  static String field(String object, String name) {
    var m = Pattern.compile("\"" + name + "\":\\s*\"([^\"]*)\"").matcher(object);
    return m.find() ? m.group(1) : "";
  }

  /** Watches over a WebSocket: each message is an event. fabric8's client names an origin, and servers want one. */
  LinkedBlockingQueue<String> overWebSocket(String path) {
    var events = new LinkedBlockingQueue<String>();
    http.newWebSocketBuilder().header("Authorization", "Bearer " + token).header("Origin", "https://" + host).buildAsync(URI.create("wss://" + host + path), new WebSocket.Listener() {
      final StringBuilder parts = new StringBuilder();

      @Override
      public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
        parts.append(part);
        if (last) {
          events.add(parts.toString());
          parts.setLength(0);
        }
        socket.request(1);
        return null;
      }
    }).join();
    return events;
  }

  /** Watches by an answer that does not end: each line is an event. */
  LinkedBlockingQueue<String> byLines(String path) {
    var events = new LinkedBlockingQueue<String>();
    CompletableFuture<?> ignored = http.sendAsync(to(path).build(), BodyHandlers.fromLineSubscriber(new java.util.concurrent.Flow.Subscriber<String>() {
      @Override
      public void onSubscribe(java.util.concurrent.Flow.Subscription s) {
        s.request(Long.MAX_VALUE);
      }

      @Override
      public void onNext(String line) {
        events.add(line);
      }

      @Override
      public void onError(Throwable problem) {
        events.add("ended: " + problem);
      }

      @Override
      public void onComplete() {}
    }));
    return events;
  }

  static void await(LinkedBlockingQueue<String> events, String what, String... parts) throws Exception {
    next:
    for (String event; (event = events.poll(50, TimeUnit.SECONDS)) != null; ) {
      for (String part : parts) {
        if (!event.contains(part)) {
          continue next;
        }
      }
      return;
    }
    throw new IllegalStateException("no event: " + what);
  }

  void run(String namespace) throws Exception {
    String all = ask("GET", "/api/v1/namespaces/default/pods", null, null, 200);
    System.out.println("listed " + field(all, "kind"));
    String pods = "/api/v1/namespaces/" + namespace + "/pods";
    String created = ask("POST", pods, "application/json; charset=utf-8", OBJECT, 201);
    System.out.println("created " + field(created, "name"));
    String watch = pods + "?watch=true&fieldSelector=metadata.name%3D" + NAME + "&resourceVersion=" + field(created, "resourceVersion");
    var socket = overWebSocket(watch);
    var lines = byLines(watch);
    await(socket, "running over a WebSocket", "\"phase\":\"Running\"");
    await(lines, "running by lines", "\"phase\":\"Running\"");
    System.out.println("running");
    ask("PATCH", pods + "/" + NAME, "application/json-patch+json", "[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"foo\":\"baz\"}}]", 200);
    ask("PATCH", pods + "/" + NAME, "application/merge-patch+json", "{\"metadata\":{\"labels\":{\"foo\":\"bar\"}}}", 200);
    await(socket, "labelled", "\"foo\":\"bar\"");
    await(lines, "labelled", "\"foo\":\"bar\"");
    System.out.println("labelled foo=bar");
    ask("DELETE", pods + "/" + NAME, "application/json", "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\"}", 200);
    await(socket, "deleted", "\"type\":\"DELETED\"");
    await(lines, "deleted", "\"type\":\"DELETED\"");
    System.out.println("deleted " + NAME);
  }

  public static void main(String[] args) throws Exception {
    String files = args.length > 1 ? args[1] : "/var/run/secrets/kubernetes.io/serviceaccount";
    new Client(Path.of(files)).run(args[0]);
    System.exit(0);
  }
}
