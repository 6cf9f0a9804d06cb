package flownexus.leshan.security;

import java.net.InetSocketAddress;
import java.security.cert.X509Certificate;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.events.EventLog;
import flownexus.leshan.events.LogText;

/**
 * Tells why peers were refused: one log line each, and REFUSED events, of which at most one a minute for the same peer and
 * story and five a second in all.
 */
public final class Refusals {

    private static final Logger LOG = LoggerFactory.getLogger(Refusals.class);

    private static final long SAME_STORY_NANOS = TimeUnit.MINUTES.toNanos(1);
    private static final int PER_SECOND = 5;
    private static final int REMEMBERED = 10_000;

    /** A refusal. All but the peer and the reason may be null. */
    public record Refusal(InetSocketAddress peer, boolean byDevice, String reason, String endpoint, String identity,
            X509Certificate certificate, String alert) {

        public static Refusal of(InetSocketAddress peer, String reason) {
            return new Refusal(peer, false, reason, null, null, null, null);
        }

        public Refusal endpoint(String name) {
            return new Refusal(peer, byDevice, reason, name, identity, certificate, alert);
        }

        public Refusal identity(String psk) {
            return new Refusal(peer, byDevice, reason, endpoint, psk, certificate, alert);
        }

        public Refusal certificate(X509Certificate presented) {
            return new Refusal(peer, byDevice, reason, endpoint, identity, presented, alert);
        }

        public Refusal alert(String name) {
            return new Refusal(peer, byDevice, reason, endpoint, identity, certificate, name);
        }

        public Refusal byTheDevice() {
            return new Refusal(peer, true, reason, endpoint, identity, certificate, alert);
        }

        private String subject() {
            return certificate == null ? null : certificate.getSubjectX500Principal().getName();
        }

        private String story() {
            return peer.getAddress().getHostAddress() + '\n' + reason + '\n' + endpoint + '\n' + identity + '\n'
                    + subject();
        }
    }

    private final EventLog events;
    private final Map<String, Long> told = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Long> eldest) {
            return size() > REMEMBERED;
        }
    };
    private final Deque<Long> lastSecond = new ArrayDeque<>();
    private long omitted;

    public Refusals(EventLog events) {
        this.events = events;
    }

    /** Reports a refusal; from any thread, never blocks. */
    public void report(Refusal refusal) {
        String peer = address(refusal.peer);
        LOG.warn("refused {}{}{}{}{}: {}", refusal.byDevice ? "by " : "", peer, named(" endpoint ", refusal.endpoint),
                named(" identity ", refusal.identity), named(" certificate ", refusal.subject()), LogText.of(refusal.reason));
        long left;
        synchronized (this) {
            long now = System.nanoTime();
            while (!lastSecond.isEmpty() && now - lastSecond.getFirst() > TimeUnit.SECONDS.toNanos(1)) {
                lastSecond.removeFirst();
            }
            Long before = told.get(refusal.story());
            if (before != null && now - before < SAME_STORY_NANOS || lastSecond.size() >= PER_SECOND) {
                omitted++;
                return;
            }
            told.remove(refusal.story());
            told.put(refusal.story(), now);
            lastSecond.addLast(now);
            left = omitted;
            omitted = 0;
        }
        events.publishQuietly("REFUSED", refusal.endpoint, json -> {
            json.writeStartObject();
            json.writeStringField("by", refusal.byDevice ? "device" : "server");
            json.writeStringField("peer", peer);
            if (refusal.endpoint != null) {
                json.writeStringField("endpoint", refusal.endpoint);
            }
            if (refusal.identity != null) {
                json.writeStringField("identity", refusal.identity);
            }
            if (refusal.certificate != null) {
                X509Certificate certificate = refusal.certificate;
                json.writeStringField("subject", refusal.subject());
                json.writeStringField("issuer", certificate.getIssuerX500Principal().getName());
                json.writeStringField("sha256", Certificates.sha256(certificate));
                json.writeNumberField("notBefore", certificate.getNotBefore().getTime());
                json.writeNumberField("notAfter", certificate.getNotAfter().getTime());
            }
            if (refusal.alert != null) {
                json.writeStringField("alert", refusal.alert);
            }
            json.writeStringField("reason", refusal.reason);
            if (left > 0) {
                json.writeNumberField("omitted", left);
            }
            json.writeNumberField("time", System.currentTimeMillis());
            json.writeEndObject();
        });
    }

    private static String named(String label, String value) {
        return value == null ? "" : label + "'" + LogText.of(value) + "'";
    }

    private static String address(InetSocketAddress peer) {
        String host = peer.getAddress().getHostAddress();
        return (host.indexOf(':') < 0 ? host : "[" + host + "]") + ":" + peer.getPort();
    }
}
