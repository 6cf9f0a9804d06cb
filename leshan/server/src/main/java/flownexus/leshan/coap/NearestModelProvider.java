package flownexus.leshan.coap;

import java.util.Collection;
import java.util.Objects;

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
        return new LwM2mModel() {

            @Override
            public ResourceModel getResourceModel(int objectId, int resourceId) {
                ObjectModel model = getObjectModel(objectId);
                return model == null ? null : model.resources.get(resourceId);
            }

            @Override
            public ObjectModel getObjectModel(int objectId) {
                // an object that was not announced (a Send may hold such) still is what its number says
                Version version = registration.getSupportedVersion(objectId);
                return models.nearest(objectId, version);
            }

            @Override
            public Collection<ObjectModel> getObjectModels() {
                return registration.getSupportedObject().entrySet().stream()
                        .map(object -> models.nearest(object.getKey(), object.getValue())).filter(Objects::nonNull)
                        .toList();
            }
        };
    }
}
