package flownexus.models;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

import javax.xml.XMLConstants;
import javax.xml.parsers.ParserConfigurationException;
import javax.xml.parsers.SAXParser;
import javax.xml.parsers.SAXParserFactory;

import org.eclipse.leshan.core.LwM2m.Version;
import org.eclipse.leshan.core.model.DDFFileParser;
import org.eclipse.leshan.core.model.InvalidDDFFileException;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.xml.sax.Attributes;
import org.xml.sax.Locator;
import org.xml.sax.SAXException;
import org.xml.sax.SAXParseException;
import org.xml.sax.helpers.DefaultHandler;

/**
 * One object's definition (DDF, the XML of the OMA registry) from somebody who can be told what is wrong with it: checked
 * against what the LwM2M schema demands, with the line of the first mistake.
 */
public final class ObjectDefinition {

    private static final int MAX_ID = 65534;

    private ObjectDefinition() {
    }

    /**
     * Reads a definition.
     *
     * @param ddf the file
     * @return its model; the version is 1.0 where the file names none
     * @throws IllegalArgumentException with one line that says what is wrong, and where
     */
    public static ObjectModel parse(byte[] ddf) {
        try {
            parser().parse(new ByteArrayInputStream(ddf), new Check());
            List<ObjectModel> models = new DDFFileParser().parse(new ByteArrayInputStream(ddf), "the file");
            if (models.size() != 1) {
                throw new IllegalArgumentException("one object is expected, the file has " + models.size());
            }
            ObjectModel model = models.get(0);
            String error = Version.validate(model.version);
            if (error != null) {
                throw new IllegalArgumentException("ObjectVersion '" + model.version + "': " + error);
            }
            return model;
        } catch (SAXParseException e) {
            throw new IllegalArgumentException("line " + e.getLineNumber() + ": " + oneLine(e.getMessage()), e);
        } catch (InvalidDDFFileException e) {
            throw new IllegalArgumentException(oneLine(e.getMessage()), e);
        } catch (SAXException | IOException e) {
            throw new IllegalArgumentException("not XML: " + oneLine(e.getMessage()), e);
        }
    }

    private static String oneLine(String message) {
        return String.valueOf(message).strip().replaceAll("\\s+", " ");
    }

    /** A parser that fetches nothing and expands nothing. */
    private static SAXParser parser() throws SAXException {
        SAXParserFactory factory = SAXParserFactory.newInstance();
        try {
            factory.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
            factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
            return factory.newSAXParser();
        } catch (ParserConfigurationException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Reads along and stops at the first mistake. */
    private static final class Check extends DefaultHandler {

        private static final Set<String> YES_NO = Set.of("Mandatory", "Optional");
        private static final Set<String> INSTANCES = Set.of("Single", "Multiple");
        private static final Set<String> OPERATIONS = Set.of("", "R", "W", "RW", "E");
        private static final Set<String> TYPES = Arrays.stream(Type.values())
                .filter(type -> type != Type.NONE)
                // the one whose name in files is another
                .map(type -> type == Type.CORELINK ? "corelnk" : squeezed(type.name()))
                .collect(Collectors.toSet());

        private final Deque<String> open = new ArrayDeque<>();
        private final StringBuilder text = new StringBuilder();
        private final Map<Integer, Integer> lineOfResource = new HashMap<>();
        private final Map<String, String> object = new HashMap<>();
        private Map<String, String> resource;
        private Integer resourceId;
        private int objects;
        private Locator locator;

        @Override
        public void setDocumentLocator(Locator documentLocator) {
            locator = documentLocator;
        }

        @Override
        public void startElement(String uri, String localName, String name, Attributes attributes)
                throws SAXParseException {
            text.setLength(0);
            if (open.isEmpty() && !name.equals("LWM2M")) {
                throw wrong("the outermost element must be LWM2M, not " + name);
            }
            if (name.equals("Object") && open.size() == 1 && ++objects > 1) {
                throw wrong("a second Object: put each in a file of its own");
            }
            if (name.equals("Item") && open.size() == 3) {
                resource = new HashMap<>();
                resourceId = number(attributes.getValue("ID"), "the ID of an Item");
                Integer before = lineOfResource.put(resourceId, locator.getLineNumber());
                if (before != null) {
                    throw wrong("resource " + resourceId + " is defined a second time (first in line " + before + ")");
                }
            }
            open.push(name);
        }

        @Override
        public void characters(char[] characters, int start, int length) {
            text.append(characters, start, length);
        }

        @Override
        public void endElement(String uri, String localName, String name) throws SAXParseException {
            open.pop();
            String value = text.toString().strip();
            text.setLength(0);
            if (resource != null && open.size() == 4) {
                resource.put(name, value);
                checkResourceField(name, value);
            } else if (resource != null && name.equals("Item")) {
                String what = "resource " + resourceId;
                demand(resource, what, "Name", "Operations", "MultipleInstances", "Mandatory");
                String operations = resource.get("Operations");
                if (resource.getOrDefault("Type", "").isEmpty() && !operations.isEmpty() && !operations.equals("E")) {
                    throw wrong(what + " can be read or written, but has no Type");
                }
                resource = null;
            } else if (open.size() == 2) {
                object.put(name, value);
                checkObjectField(name, value);
            } else if (name.equals("Object") && open.size() == 1) {
                demand(object, "the object", "Name", "ObjectID", "MultipleInstances", "Mandatory");
                if (lineOfResource.isEmpty()) {
                    throw wrong("the object has no resources");
                }
            }
        }

        @Override
        public void endDocument() throws SAXParseException {
            if (objects == 0) {
                throw wrong("no Object in it");
            }
        }

        private void checkObjectField(String name, String value) throws SAXParseException {
            switch (name) {
            case "ObjectID" -> number(value, "ObjectID");
            case "ObjectVersion" -> {
                if (Version.validate(value) != null) {
                    throw wrong("ObjectVersion '" + value + "' must be like 1.0");
                }
            }
            case "MultipleInstances" -> oneOf(value, INSTANCES, "MultipleInstances");
            case "Mandatory" -> oneOf(value, YES_NO, "Mandatory");
            default -> {
                // free text, or of no meaning here
            }
            }
        }

        private void checkResourceField(String name, String value) throws SAXParseException {
            String what = name + " of resource " + resourceId;
            switch (name) {
            case "Operations" -> oneOf(value, OPERATIONS, what);
            case "MultipleInstances" -> oneOf(value, INSTANCES, what);
            case "Mandatory" -> oneOf(value, YES_NO, what);
            case "Type" -> {
                if (!value.isEmpty() && !TYPES.contains(squeezed(value))) {
                    throw wrong("Type of resource " + resourceId + " is '" + value + "', but must be one of String, "
                            + "Integer, Float, Boolean, Opaque, Time, Objlnk, Corelnk, Unsigned Integer");
                }
            }
            default -> {
                // free text, or of no meaning here
            }
            }
        }

        private static String squeezed(String type) {
            return type.replaceAll("[ _]", "").toLowerCase(Locale.ROOT);
        }

        private int number(String value, String what) throws SAXParseException {
            if (value == null || !value.strip().matches("[0-9]{1,5}") || Integer.parseInt(value.strip()) > MAX_ID) {
                throw wrong(what + " must be a number from 0 to " + MAX_ID + ", not '" + value + "'");
            }
            return Integer.parseInt(value.strip());
        }

        private void oneOf(String value, Set<String> allowed, String what) throws SAXParseException {
            if (!allowed.contains(value)) {
                throw wrong(what + " is '" + value + "', but must be one of "
                        + allowed.stream().filter(each -> !each.isEmpty()).sorted().collect(Collectors.joining(", ")));
            }
        }

        private void demand(Map<String, String> fields, String what, String... names) throws SAXParseException {
            for (String name : names) {
                if (!fields.containsKey(name)) {
                    throw wrong(what + " has no " + name);
                }
            }
        }

        private SAXParseException wrong(String message) {
            return new SAXParseException(message, locator);
        }
    }
}
