package flownexus.leshan.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

class RawPathTest {

    @Test
    void splitsBeforeItDecodes() {
        assertEquals(List.of("api", "clients", "a/b \"c\" %41+;é", "3", "0"),
                RawPath.segments("/api/clients/a%2Fb%20%22c%22%20%2541+;%C3%A9/3/0"));
        assertEquals(List.of("api", "clients", ".."), RawPath.segments("/api/clients/%2e%2E"));
        assertEquals(List.of("a"), RawPath.segments("/a/"));
        assertEquals(List.of("日本"), RawPath.segments("/日本"));
    }

    @ParameterizedTest
    @NullSource
    @ValueSource(strings = { "", "/", "//", "/a//b", "/a/%", "/a/%4", "/a/%zz", "/a/%FF", "/a/%C3" })
    void refusesWhatIsNoPath(String path) {
        assertThrows(IllegalArgumentException.class, () -> RawPath.segments(path));
    }

    @Test
    void decodesAQuery() {
        Map<String, String> query = RawPath.query("ep=a%26b+c&active&pmin=&x=1&x=2");
        assertEquals("a&b c", query.get("ep"));
        assertTrue(query.containsKey("active"));
        assertNull(query.get("active"));
        assertEquals("", query.get("pmin"));
        assertEquals("2", query.get("x"));
        assertTrue(RawPath.query(null).isEmpty());
    }
}
