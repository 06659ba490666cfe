"""Pictures of a data set, at a glance."""

from PIL import Image
from torchvision.transforms.functional import to_pil_image

from e2ed2.data.batches import spread
from e2ed2.data.pictures import PictureSet


def contact_sheet(pictures: PictureSet, limit: int, columns: int = 12) -> Image.Image:
    """Evenly spaced pictures of the set, at most `limit`, in rows of `columns`."""
    images = pictures.tensor(spread(len(pictures), limit))
    height, width = images.shape[-2:]
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for place, image in enumerate(images):
        sheet.paste(to_pil_image((image + 1) / 2), (place % columns * width, place // columns * height))
    return sheet
