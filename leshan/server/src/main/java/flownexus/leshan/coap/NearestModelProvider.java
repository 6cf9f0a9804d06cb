package flownexus.leshan.coap;

import java.util.Collection;
import java.util.Map;
import java.util.Objects;
import java.util.function.IntFunction;

import org.eclipse.leshan.core.LwM2m.Version;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.server.model.LwM2mModelProvider;
import org.eclipse.leshan.server.registration.Registration;

import flownexus.models.ObjectModels;

/** Gives each client the models of its objects, in the nearest version where the exact one is missing. */
public final class NearestModelProvider implements LwM2mModelProvider {

    private final ObjectModels models;

    public NearestModelProvider(ObjectModels models) {
        this.models = models;
    }

    @Override
    public LwM2mModel getObjectModel(Registration registration) {
        return model(registration.getSupportedObject(), registration::getSupportedVersion);
    }

    /** The models of a client that announced objects in these versions; of others they are those of version 1.0. */
    LwM2mModel model(Map<Integer, Version> announced) {
        return model(announced, announced::get);
    }

    /** The models of a client of which nothing is known: the newest ones. */
    LwM2mModel newest() {
        return model(Map.of(), models::newestVersion);
    }

    private LwM2mModel model(Map<Integer, Version> announced, IntFunction<Version> versions) {
        return new LwM2mModel() {

            @Override
            public ResourceModel getResourceModel(int objectId, int resourceId) {
                ObjectModel model = getObjectModel(objectId);
                return model == null ? null : model.resources.get(resourceId);
            }

            @Override
            public ObjectModel getObjectModel(int objectId) {
                // an object that was not announced (a Send may hold such) still is what its number says
                return models.nearest(objectId, versions.apply(objectId));
            }

            @Override
            public Collection<ObjectModel> getObjectModels() {
                return announced.entrySet().stream()
                        .map(object -> models.nearest(object.getKey(), object.getValue())).filter(Objects::nonNull)
                        .toList();
            }
        };
    }
}
