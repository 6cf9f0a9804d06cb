package flownexus.leshan.http;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;

/**
 * {@code /}: the pages of Leshan's demo server, for protocol debugging. They are older than the API (2.0.0-M4) and unpacked at
 * build; where what they expect cannot stand beside what the API answers, they are made to ask for it. All their addresses are
 * relative, so a proxy may put them under any path that ends with a slash.
 */
final class DemoPages {

    private static final String FOLDER = "/webapp2/";
    /** A name without anything that leads out of the folder. */
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]*");

    private static final Map<String, String> TYPES = Map.of(
            "html", "text/html; charset=utf-8",
            "js", "text/javascript; charset=utf-8",
            "css", "text/css; charset=utf-8",
            "png", "image/png",
            "woff", "font/woff",
            "woff2", "font/woff2");

    /** Vuetify makes a style element and sets style attributes; nothing is evaluated, and nothing comes from elsewhere. */
    private static final String POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
            + "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            + "frame-ancestors 'self'";

    /**
     * What is changed in the scripts: since M5 {@code /api/server/endpoint} is an array, these pages expect ports by name; no
     * timeout is sent as "null", which becomes the longest that there is; and the news on the first page is about pages that
     * are still older and not here.
     */
    private static final Map<String, String> REPLACED = Map.of(
            "\"api/server/endpoint\"", "\"api/server/endpoint?shape=ports\"",
            "{txt:\"None\",val:null}", "{txt:\"None\",val:604800}",
            "(\"shownews\",{defaultValue:!0,", "(\"shownews\",{defaultValue:!1,");

    /** @param path the decoded segments of the whole path; empty for the index */
    void handle(Call call, List<String> path) {
        String name = path.isEmpty() ? "index.html" : String.join("/", path);
        String type = name.indexOf('.') < 0 ? null : TYPES.get(name.substring(name.lastIndexOf('.') + 1));
        if (type == null || !path.stream().allMatch(segment -> NAME.matcher(segment).matches())) {
            call.text(404, "Not found");
            return;
        }
        if (!call.method().equals("GET") && !call.method().equals("HEAD")) {
            call.text(405, "Method not allowed");
            return;
        }
        byte[] content;
        try (InputStream file = DemoPages.class.getResourceAsStream(FOLDER + name)) {
            if (file == null) {
                call.text(404, "Not found");
                return;
            }
            content = file.readAllBytes();
        } catch (IOException e) {
            call.failed(e);
            return;
        }
        HttpFields.Mutable headers = call.response.getHeaders();
        headers.put("X-Content-Type-Options", "nosniff");
        headers.put("Content-Security-Policy", POLICY);
        headers.put("Referrer-Policy", "same-origin");
        headers.put(HttpHeader.CACHE_CONTROL, name.equals("index.html") ? "no-cache" : "private, max-age=3600");
        call.content(type, name.startsWith("js/app.") ? adapted(content) : content);
    }

    private static byte[] adapted(byte[] script) {
        String text = new String(script, StandardCharsets.UTF_8);
        for (Map.Entry<String, String> each : REPLACED.entrySet()) {
            text = text.replace(each.getKey(), each.getValue());
        }
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
