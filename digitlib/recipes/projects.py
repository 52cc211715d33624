"""The five published projects as recipes."""

from keras import layers

from digitlib.recipes.recipe import Recipe, classifier


def _lenet5():
    return classifier(
        layers.Conv2D(6, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(16, 5, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(120, activation="relu"),
        layers.Dense(84, activation="relu"),
    )


def _vgg_blocks():
    return classifier(
        layers.Conv2D(16, 3, activation="relu"),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
    )


def mlp_512_512():
    return classifier(
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dense(512, activation="relu"),
    )


def _two_conv_blocks():
    return classifier(
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
    )


def _mlp_128_64():
    return classifier(
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(64, activation="relu"),
        layers.Dropout(0.2),
    )


PROJECTS = (
    Recipe(
        name="p0",
        title="P0: CNN (LeNet-5)",
        source="Parmanand Gupta, Handwritten Digit Recognition System using MNIST Dataset",
        build=_lenet5,
        epochs=10,
        batch_size=128,
        validation=0.2,
        choices="It names the kinds of layers and no sizes, epochs or batches. We take the "
        "sizes of LeNet-5 (LeCun et al. 1998), the network that this description retells, "
        "with today's ReLU, max-pooling and Adam; 10 epochs, by when its validation loss no "
        "longer falls, in batches of 128, 20 % validation.",
    ),
    Recipe(
        name="p1",
        title="P1: CNN (two VGG blocks)",
        source="Handwritten Digit Recognition using CNN and TensorFlow",
        build=_vgg_blocks,
        epochs=5,
        batch_size=128,
        validation=0.2,
        claims={"accuracy": 0.98},
        choices="'Several convolutions, then pooling, then fully connected' is the block of "
        "VGG (Simonyan and Zisserman 2014): we stack two, 16 and 32 wide, half of what "
        "tutorials use, so that many seeds stay affordable on a processor. 5 epochs in "
        "batches of 128, 20 % validation.",
    ),
    Recipe(
        name="p2",
        title="P2: MLP 512-512",
        source="Abhishek-03113/Handwritten-Digit-Recognition",
        build=mlp_512_512,
        epochs=10,
        batch_size=32,
        validation=0.2,
        claims={"accuracy": 0.9777},
        choices="Everything is stated but the batch size; 32 is the Keras default.",
    ),
    Recipe(
        name="p3",
        title="P3: CNN 32-64",
        source="Digit Recognition Using MNIST Dataset (digit_recognition.py)",
        build=_two_conv_blocks,
        epochs=5,
        batch_size=32,
        validation=0.1,
        choices="It states the order of the layers, the 128 units and Adam. 3x3 kernels, 32 "
        "then 64 wide, are those of the Keras and TensorFlow introductions; 5 epochs and 10 % "
        "validation as in most of them; 32 images a batch is the Keras default.",
    ),
    Recipe(
        name="p4",
        title="P4: MLP 128-64, dropout",
        source="M Tareq Rahman, Handwritten Digit Recognition System",
        build=_mlp_128_64,
        epochs=20,
        batch_size=128,
        validation="test",
        claims={"accuracy": 0.97, "precision": 0.96, "recall": 0.95, "f1": 0.95},
        choices="The text is silent on the dropout rate; 0.2 is what its notebook uses. That "
        "notebook also watches the test set as validation data, which we repeat and mark.",
    ),
)
